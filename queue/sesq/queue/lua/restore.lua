-- Restore: a message, or a chunk, whose RQ job stands nowhere gets its job, and its place, back. After lifecycle.lua and batch.lua.
--
-- ARGV[3] id   [4] only what has not changed since (s)   [5…] RQ's job: name, value, …
-- Returns 1, or 0 where it has its place by now, or needs none; 'canceled' where RQ was told to cancel its job.

local id, NEAR = ARGV[3], 1000 -- NEAR: so many entries at each end of a lane are looked at; a scan has missed it elsewhere before

local function stands_in(queue)
  local list = R .. 'queue:' .. queue
  if call('SISMEMBER', A .. 'stale:' .. queue, id) == 1 then return false end
  return call('LPOS', list, id, 'MAXLEN', NEAR) or call('LPOS', list, id, 'RANK', -1, 'MAXLEN', NEAR)
end

-- Writes the job anew; of all lanes' registries it leaves those that others have put it into.
local function renew_job(queue, keep)
  call('HSET', R .. 'job:' .. id, unpack(ARGV, 5))
  call('HSET', R .. 'job:' .. id, 'origin', queue, 'result_ttl', seconds_kept(keep), 'failure_ttl', seconds_kept(keep))
  call('SADD', R .. 'queues', R .. 'queue:' .. queue)
  for _, lane in ipairs({'transactional', 'bulk'}) do
    for _, name in ipairs(REGISTRIES) do call('ZREM', R .. name .. ':sesq.' .. ARGV[1] .. '.' .. lane, id) end
  end
end

local m = call('HMGET', A .. 'message:' .. id, 'state', 'since', 'queue', 'keep', 'send_at')
local chunk = not m[1] and read_chunk(id)
local state, queue = m[1] or chunk and chunk.place, lane_of(m[3] or chunk and chunk.queue)
local registry = PLACE[state or ''] and PLACE[state][1]
if not registry or registry == 'wip' or ENDED[registry] or (tonumber(m[2]) or 0) > tonumber(ARGV[4]) then return 0 end
if chunk and (chunk.state ~= 'running' or registry ~= 'queue') then return 0 end
if stands_in(queue) or call('ZSCORE', A .. 'lent', id) then return 0 end
if registry ~= 'queue' and call('ZSCORE', R .. registry .. ':' .. queue, id) then return 0 end
if call('HGET', R .. 'job:' .. id, 'status') == 'canceled' then return 'canceled' end

renew_job(queue, chunk and chunk.keep or m[4])
if chunk then place(id, queue, 'queued', chunk.keep, {})
elseif registry == 'queue' then move(id, 'queued', 'its RQ job had been taken away', {}, {})
else place(id, queue, state, m[4], {due = state == 'scheduled' and tonumber(m[5]) or now}) end -- when another try was due, RQ alone knew
if registry == 'queue' then wake(queue) end
return 1
