-- Arrive: a recipient of a batch of which only a MessageId is kept got its mail. After lifecycle.lua and batch.lua.
--
-- ARGV[3] chunk   [4] row
-- Returns 1 where that is news.

local bid = call('HGET', A .. 'chunk:' .. ARGV[3], 'batch')
if not bid or call('SETBIT', A .. 'arrived:' .. ARGV[3], ARGV[4], 1) == 1 then return 0 end
local ttl = call('TTL', A .. 'chunk:' .. ARGV[3])
if ttl > 0 then call('EXPIRE', A .. 'arrived:' .. ARGV[3], ttl) end
tally(bid, 'taken', 'arrived', 1)
return 1
