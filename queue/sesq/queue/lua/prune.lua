-- Prune: takes out of the lists what has ended and whose record has expired. After lifecycle.lua.
--
--   A pruning   hash   state -> where the search through its list goes on
-- ARGV[3] most to look at in each list   [4] 1: searches too   [5…] RQ queues
-- RQ's registries of what has ended say when each record expires. A search in small pieces finds what RQ's own workers took out of
-- them first, wherever it stands among records that stay longer.
-- Returns {the number taken out of our own lists, 1 where there may be more}.

local most, seconds, pruned, more = tonumber(ARGV[3]), tonumber(call('TIME')[1]), 0, 0

for i = 5, #ARGV do
  for registry in pairs(ENDED) do
    local key = R .. registry .. ':' .. ARGV[i]
    local expired = call('ZRANGEBYSCORE', key, '-inf', seconds, 'LIMIT', 0, most)
    if #expired == most then more = 1 end
    for _, id in ipairs(expired) do
      local ttl = call('TTL', A .. 'message:' .. id)
      if ttl > 0 then call('ZADD', key, seconds + ttl, id) -- its record stays longer
      else call('ZREM', key, id) end
      if ttl == -2 then
        for state, at in pairs(PLACE) do
          if at[1] == registry then pruned = pruned + call('ZREM', A .. 'state:' .. state, id) end
        end
      end
    end
  end
end

if ARGV[4] == '1' then
  for state, at in pairs(PLACE) do
    if ENDED[at[1]] then
      local page = call('ZSCAN', A .. 'state:' .. state, call('HGET', A .. 'pruning', state) or '0', 'COUNT', most)
      call('HSET', A .. 'pruning', state, page[1])
      for i = 1, #page[2], 2 do
        if call('EXISTS', A .. 'message:' .. page[2][i]) == 0 then
          pruned = pruned + call('ZREM', A .. 'state:' .. state, page[2][i])
        end
      end
    end
  end
end
return {pruned, more}
