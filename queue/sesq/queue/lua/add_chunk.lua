-- Adds a chunk to a batch, with its RQ job. After messages.lua.
--
-- ARGV[3] batch   [4] number of the chunk   [5] rows, packed   [6] n (recipients)   [7] counted: the first so
--     many count towards the day   [8] its send window, or ''   [9] when that is open, as in A windows
--     [10…] RQ's job: name, value, …
-- A chunk that is here already stays as it is. Returns the batch's state; 'damaged' if the
-- batch cannot take it, because its field chunks is damaged.

local bid, k, rows, n, counted = ARGV[3], tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6]), ARGV[7]
local window, times = ARGV[8], ARGV[9]
local id = bid .. '-' .. k
local filled, own_lane, keep = Batch.read(bid, 'filled', 'queue', 'keep')
local state, chunks, queue = Batch.state_of(bid), Batch.count_chunks(bid), Job.own_queue(own_lane)

local function main()
  if not chunks then return 'damaged' end
  if state == 'cancelled' or filled == '1' or k < chunks then return state end

  -- RQ's keys first, and the count of the chunks last: after a failed write the next call adds the same chunk
  local length
  if n > 0 then
    call('HSET', R .. 'job:' .. id, 'status', 'queued', unpack(ARGV, 10))
    if queue ~= Job.lane_of(queue) then call('HSET', R .. 'job:' .. id, 'origin', queue) end
    call('SADD', R .. 'queues', R .. 'queue:' .. queue)
    call('HSET', A .. 'chunk:' .. id, 'batch', bid, 'queue', queue, 'keep', keep or '', 'n', n, 'counted',
      counted,
         'cursor', 0, 'redo', '', 'out', 0, 'place', 'queued')
    if window ~= '' then
      call('HSET', A .. 'chunk:' .. id, 'window', window)
      call('HSET', A .. 'windows', window, times)
      call('SADD', A .. 'windows:' .. bid, window)
    end
    call('SET', A .. 'rows:' .. id, rows)
    call('HINCRBY', A .. 'batch:' .. bid, 'jobs', 1)
    call('HINCRBY', A .. 'batch:' .. bid, 'total', n)
    Batch.adjust_counts(bid, nil, 'waiting', n)
    Share.join(queue)
    length = call('RPUSH', R .. 'queue:' .. queue, id)
  end
  Batch.set(bid, 'chunks', k + 1)
  if length == 1 then Job.wake(queue) end
  return state
end
