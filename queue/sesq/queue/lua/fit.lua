-- Fit: messages that are held since they were for more recipients than a whole day has room for go back into their lanes where
-- they fit into one now, by the limits in force. After lifecycle.lua and gate.lua.
--
-- ARGV[3] from which on (place in A hold:day)   [4] most to look at   [5] reason
-- Returns {how many it looked at, how many it freed}

local ids = call('ZRANGE', A .. 'hold:day', tonumber(ARGV[3]), tonumber(ARGV[3]) + tonumber(ARGV[4]) - 1)
local freed = 0
for _, id in ipairs(ids) do
  local m = call('HMGET', A .. 'message:' .. id, 'state', 'day', 'queue')
  local spare = is_bulk(m[3] or '') and reserve or 0
  if m[1] == 'held' and (tonumber(m[2]) or 0) <= math.max(1, daily - spare) then
    move(id, 'queued', ARGV[5], {}, {})
    freed = freed + 1
  end
end
if freed > 0 then wake() end
return {#ids, freed}
