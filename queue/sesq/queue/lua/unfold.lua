-- Unfold: a recipient of a batch of which only a MessageId was kept gets a record of its own, since more is to be said of it.
-- After lifecycle.lua and batch.lua.
--
-- ARGV[3] id   [4] chunk   [5] row   [6] MessageId   [7] time it was taken (s)   [8] envelope   [9…] RQ's job: name, value, …
-- Returns 1, or 0 where it has one, or its batch is gone.

local id, bid = ARGV[3], call('HGET', A .. 'chunk:' .. ARGV[4], 'batch')
if not bid or call('SISMEMBER', A .. 'spilled:' .. bid, id) == 1 then return 0 end
local arrived = call('GETBIT', A .. 'arrived:' .. ARGV[4], ARGV[5]) == 1
local state = arrived and 'delivered' or 'sent'
make_record(id, bid, state, ARGV[7], {tonumber(ARGV[7]), 'sent', ARGV[6]}, {envelope = ARGV[8], job = {unpack(ARGV, 9)}},
            {'reason', ARGV[6], 'message_id', ARGV[6], 'attempts', 1, 'day', 1})
local b = call('HMGET', A .. 'batch:' .. bid, 'queue', 'keep')
call('EXPIRE', A .. 'message:' .. id, seconds_kept(b[2]))
local ttl = call('TTL', A .. 'batch:' .. bid)
if ttl > 0 then call('EXPIRE', A .. 'spilled:' .. bid, ttl) end -- it may be new, of a batch that has ended
place(id, lane_of(b[1]), state, b[2], {})
tally(bid, arrived and 'arrived' or 'taken', state, 1)
return 1
