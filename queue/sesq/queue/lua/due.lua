-- Due: whether the account is to be read at SES now; then it is this process that reads it. After server.lua.
--
-- ARGV[3] s: how long nobody else reads it then   [4] s: the longest such time; what seems longer is of a
--         time from before the clock was set back   [5] 1: also where it is not due: it has been read, or is
--                                                   to be read again sooner
--   A sync   hash   server (the run of the Redis server on which it was read, or is being read), until (s:
--                   nobody else reads it)
-- Returns 1 or 0. What was read on another server, or in another run of it, is read anew.

local seconds, longest, surely = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local sync = read_hash(A .. 'sync')
local left = (tonumber(sync['until']) or 0) - now()
if not surely and sync.server == server_run() and left > 0 and left <= longest then return 0 end
call('HSET', A .. 'sync', 'server', server_run(), 'until', now() + seconds)
return 1
