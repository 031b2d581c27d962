-- Due: whether the account is to be read at SES now; then it is this process that reads it. After lifecycle.lua and gate.lua.
--
-- ARGV[3] ms until the next time
--   A synced   string with expiry   the run of the Redis server on which it was read, or is being read
-- Returns 1 or 0. What was read on another server, or in another run of it, is read anew.

if call('GET', A .. 'synced') == server then return 0 end
call('SET', A .. 'synced', server, 'PX', ARGV[3])
return 1
