-- Deletes what is left of a message whose record is gone. For the auditor; after messages.lua.
--
-- ARGV[3] id   [4] JSON [queue, …]: lanes in which it is   [5] JSON [[queue, entry], …]: its entries
--     in RQ's registries of running jobs   [6…] RQ queues
-- Returns how many keys and entries were deleted; 0 if it has a record.

local id, lanes, runs, queues = ARGV[3], cjson.decode(ARGV[4]), cjson.decode(ARGV[5]), {unpack(ARGV, 6)}
local n = 0

local function main()
  if call('EXISTS', A .. 'message:' .. id, A .. 'chunk:' .. id) > 0 then return 0 end
  local origin, data = unpack(call('HMGET', R .. 'job:' .. id, 'origin', 'data'))
  for _, queue in ipairs(queues) do
    if Job.lane_of(origin or '') == queue and string.find(data or '', 'sesq.worker.', 1, true) then
      n = n + call('DEL', R .. 'job:' .. id)
    end
    for _, name in ipairs(REGISTRIES) do n = n + call('ZREM', R .. name .. ':' .. queue, id) end
  end
  n = n + call('DEL', A .. 'content:' .. id)
  for state in pairs(RQ_STATE) do n = n + call('ZREM', A .. 'state:' .. state, id) end
  for _, name in ipairs({'leases', 'expiring', 'windowed'}) do n = n + call('ZREM', A .. name, id) end
  for _, queue in ipairs(lanes) do n = n + Job.mark_stale(queue, id) end
  for _, run in ipairs(runs) do
    local queue, entry = unpack(run)
    n = n + call('ZREM', R .. 'wip:' .. queue, entry)
  end
  return n
end
