-- Add: one more chunk of a batch, with its RQ job. After lifecycle.lua and batch.lua.
--
-- ARGV[3] batch   [4] number of the chunk   [5] rows, packed   [6] n (recipients)   [7] counted: the first so many count towards
--     the day   [8…] RQ's job: name, value, …
-- A chunk that is here already stays as it is. Returns the batch's state; 'damaged' where the batch cannot take it.

local bid, k, n = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[6])
local id = bid .. '-' .. k
local b = call('HMGET', A .. 'batch:' .. bid, 'queue', 'keep', 'filled')
local state, chunks, queue = state_of(bid), count_chunks(bid), lane_of(b[1])
if not chunks then return 'damaged' end
if state == 'cancelled' or b[3] == '1' or k < chunks then return state end

if n == 0 then
  call('HSET', A .. 'batch:' .. bid, 'chunks', k + 1)
  return state
end
-- RQ's keys first, and the count of the chunks last: after a failed write the next call adds the same chunk
call('HSET', R .. 'job:' .. id, 'status', 'queued', unpack(ARGV, 8))
call('SADD', R .. 'queues', R .. 'queue:' .. queue)
call('HSET', A .. 'chunk:' .. id, 'batch', bid, 'queue', queue, 'keep', b[2] or '', 'n', n, 'counted', ARGV[7], 'cursor', 0, 'redo', '',
     'out', 0, 'place', 'queued')
call('SET', A .. 'rows:' .. id, ARGV[5])
call('HINCRBY', A .. 'batch:' .. bid, 'jobs', 1)
call('HINCRBY', A .. 'batch:' .. bid, 'total', n)
tally(bid, nil, 'waiting', n)
local length = call('RPUSH', R .. 'queue:' .. queue, id)
call('HSET', A .. 'batch:' .. bid, 'chunks', k + 1)
if length == 1 then wake(queue) end
return state
