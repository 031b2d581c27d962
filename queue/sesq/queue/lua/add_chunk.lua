-- Add: one more chunk of a batch, with its RQ job. After lifecycle.lua and batch.lua.
--
-- ARGV[3] batch   [4] number of the chunk   [5] rows, packed   [6] n (recipients)   [7] counted: the first so many count towards
--     the day   [8…] RQ's job: name, value, …
-- A chunk that is here already stays as it is. Returns the batch's state.

local bid, k, n = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[6])
local id = bid .. '-' .. k
local b = call('HMGET', A .. 'batch:' .. bid, 'state', 'chunks', 'queue', 'keep', 'filled')
if not b[1] or b[1] == 'cancelled' or b[5] == '1' or k < tonumber(b[2]) then return b[1] or '' end

if n == 0 then
  call('HSET', A .. 'batch:' .. bid, 'chunks', k + 1)
  return b[1]
end
-- RQ's keys first, and the count of the chunks last: after a failed write the next call adds the same chunk
call('HSET', R .. 'job:' .. id, 'status', 'queued', unpack(ARGV, 8))
call('SADD', R .. 'queues', R .. 'queue:' .. b[3])
call('HSET', A .. 'chunk:' .. id, 'batch', bid, 'queue', b[3], 'keep', b[4], 'n', n, 'counted', ARGV[7], 'cursor', 0, 'redo', '',
     'out', 0, 'place', 'queued')
call('SET', A .. 'rows:' .. id, ARGV[5])
call('HINCRBY', A .. 'batch:' .. bid, 'jobs', 1)
call('HINCRBY', A .. 'batch:' .. bid, 'total', n)
tally(bid, nil, 'waiting', n)
local length = call('RPUSH', R .. 'queue:' .. b[3], id)
call('HSET', A .. 'batch:' .. bid, 'chunks', k + 1)
if length == 1 then wake(b[3]) end
return b[1]
