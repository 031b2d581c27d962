-- Mend: what is left of a message whose record is gone is deleted. For the auditor; after lifecycle.lua.
--
-- ARGV[3] id   [4] JSON [queue, …]: lanes in which it stands   [5] JSON [[queue, entry], …]: its entries among those that run
--     [6…] RQ queues
-- Returns how much was deleted; 0 where it has a record.

local id, n = ARGV[3], 0
if call('EXISTS', A .. 'message:' .. id, A .. 'chunk:' .. id) > 0 then return 0 end
local job = call('HMGET', R .. 'job:' .. id, 'origin', 'data')
for i = 6, #ARGV do
  if job[1] == ARGV[i] and string.find(job[2] or '', 'sesq.worker.', 1, true) then n = n + call('DEL', R .. 'job:' .. id) end
  for _, name in ipairs(REGISTRIES) do n = n + call('ZREM', R .. name .. ':' .. ARGV[i], id) end
end
n = n + call('DEL', A .. 'content:' .. id)
for state in pairs(PLACE) do n = n + call('ZREM', A .. 'state:' .. state, id) end
for _, name in ipairs({'leases', 'expiring'}) do n = n + call('ZREM', A .. name, id) end
for _, queue in ipairs(cjson.decode(ARGV[4])) do n = n + call('SADD', A .. 'stale:' .. queue, id) end
for _, run in ipairs(cjson.decode(ARGV[5])) do n = n + call('ZREM', R .. 'wip:' .. run[1], run[2]) end
return n
