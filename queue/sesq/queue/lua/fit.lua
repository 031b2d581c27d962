-- Frees messages that were held because a whole day had no room for all their recipients, if a day has
-- room by the limits in force now. After gate.lua.
--
-- ARGV[3] the place in A hold:day to begin at   [4] most to look at   [5] reason
-- Returns {how many it looked at, how many it freed}

local from, most, reason = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]

local function free_fitting(gate)
  local ids, freed = call('ZRANGE', A .. 'hold:day', from, from + most - 1), 0
  for _, id in ipairs(ids) do
    local message = Message.read(id)
    local spare = Job.is_bulk(message.queue) and gate.limits.reserve or 0
    if message.state == 'held' and (tonumber(message.day) or 0) <= math.max(1, gate.limits.daily - spare) then
      Message.transition(message, 'queued', reason, {}, {})
      freed = freed + 1
    end
  end
  if freed > 0 then Job.wake() end
  return {#ids, freed}
end

local function main() return with_gate(free_fitting) end
