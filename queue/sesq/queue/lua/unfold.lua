-- Unfold: a recipient of a batch of which only a MessageId was kept gets a record of its own, since more is to be said of it.
-- After lifecycle.lua and batch.lua.
--
-- ARGV[3] id   [4] chunk   [5] row   [6] MessageId   [7] time it was taken (s)   [8] envelope   [9…] RQ's job: name, value, …
-- Returns 1, or 0 where it has one, or its batch is gone.

local id, bid = ARGV[3], call('HGET', A .. 'chunk:' .. ARGV[4], 'batch')
if not bid or call('SADD', A .. 'spilled:' .. bid, id) == 0 then return 0 end
local b = call('HMGET', A .. 'batch:' .. bid, 'created', 'queue', 'keep')
local arrived = call('GETBIT', A .. 'arrived:' .. ARGV[4], ARGV[5]) == 1
local state = arrived and 'delivered' or 'sent'
call('HSET', A .. 'message:' .. id, 'state', state, 'since', ARGV[7], 'created', b[1], 'queue', b[2], 'reason', ARGV[6],
     'message_id', ARGV[6], 'attempts', 1, 'v', 1, 'envelope', ARGV[8], 'batch', bid, 'rate', 1, 'day', 1, 'keep', b[3],
     'history', cjson.encode({tonumber(b[1]), 'queued', 'in batch ' .. bid}) .. '\n' .. cjson.encode({tonumber(ARGV[7]), 'sent', ARGV[6]}))
call('HSET', R .. 'job:' .. id, unpack(ARGV, 9))
call('ZADD', A .. 'state:' .. state, ARGV[7], id)
call('EXPIRE', A .. 'message:' .. id, seconds_kept(b[3]))
local ttl = call('TTL', A .. 'batch:' .. bid)
if ttl > 0 then call('EXPIRE', A .. 'spilled:' .. bid, ttl) end -- it may be new, of a batch that has ended
place(id, b[2], state, b[3], {})
tally(bid, arrived and 'arrived' or 'taken', state, 1)
return 1
