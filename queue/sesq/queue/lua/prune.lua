-- Removes ended messages whose record has expired from the lists. After messages.lua.
--
--   A pruning   hash   state -> the place in its list at which the search goes on
-- ARGV[3] most to look at in each list   [4] 1: searches too   [5…] RQ queues
-- RQ's registries of ended jobs have the time at which each record expires. But stock RQ workers may remove
-- an entry before that: a search through our lists, a small piece at a time, finds those messages.
-- Returns {the number removed from our own lists, 1 if there may be more}.

local most, searches, queues = tonumber(ARGV[3]), ARGV[4] == '1', {unpack(ARGV, 5)}
local pruned, more = 0, 0

-- The times in RQ's registries are by the real clock.
local function prune_registry(registry, queue)
  local key, seconds = R .. registry .. ':' .. queue, real_seconds()
  local expired = call('ZRANGEBYSCORE', key, '-inf', seconds, 'LIMIT', 0, most)
  if #expired == most then more = 1 end
  for _, id in ipairs(expired) do
    local ttl = call('TTL', A .. 'message:' .. id)
    if ttl > 0 then call('ZADD', key, seconds + ttl, id) -- its record stays longer
    else call('ZREM', key, id) end
    for state, shown in pairs(RQ_STATE) do
      if ttl == -2 and shown == registry then pruned = pruned + call('ZREM', A .. 'state:' .. state, id) end
    end
  end
end

local function search(state)
  local key = A .. 'state:' .. state
  local next, page = unpack(call('ZSCAN', key, call('HGET', A .. 'pruning', state) or '0', 'COUNT', most))
  call('HSET', A .. 'pruning', state, next)
  for i = 1, #page, 2 do
    if call('EXISTS', A .. 'message:' .. page[i]) == 0 then pruned = pruned + call('ZREM', key, page[i]) end
  end
end

local function main()
  for _, queue in ipairs(queues) do
    for registry in pairs(ENDED) do prune_registry(registry, queue) end
  end
  for state in pairs(RQ_STATE) do
    if searches and Job.has_ended(state) then search(state) end
  end
  return {pruned, more}
end
