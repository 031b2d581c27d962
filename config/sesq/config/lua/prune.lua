-- Prune: takes out of the lists what has ended and whose record has expired. After lifecycle.lua.
--
-- ARGV[3] most to look at in each list   [4…] RQ queues
-- RQ tends its registries itself, except the one of cancelled jobs. Returns the number taken out of our own lists.

local pruned = 0
for state, at in pairs(PLACE) do
  if ENDED[at[1]] then
    for _, id in ipairs(call('ZRANGE', A .. 'state:' .. state, 0, tonumber(ARGV[3]) - 1)) do
      if call('EXISTS', A .. 'message:' .. id) == 0 then
        pruned = pruned + call('ZREM', A .. 'state:' .. state, id)
      end
    end
  end
end
for i = 4, #ARGV do call('ZREMRANGEBYSCORE', R .. 'canceled:' .. ARGV[i], '-inf', call('TIME')[1]) end
return pruned
