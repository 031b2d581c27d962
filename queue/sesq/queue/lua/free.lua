-- Puts messages that waited for something back into their lanes, oldest first.
-- After messages.lua; also uses A blocks (hash: see settle.lua) and A restored (hash: see gate.lua).
--
-- ARGV[3] what   [4] most to free   [5] reason   [6] 1: only one, to try whether it still has to wait: the
--     next one after the last one that tried, so that none tries twice while others wait
--     [7] only messages that are held since before this time (s); '' for all
--     [8] how many of the oldest to skip
-- Returns {the number freed, the number held since a later time, the number looked at}.

local what, most, reason, one = ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6] == '1'
local before, pass = tonumber(ARGV[7]) or math.huge, tonumber(ARGV[8]) or 0
local hold, freed, later = A .. 'hold:' .. what, 0, 0

local function is_held_before(id)
  return before == math.huge or (tonumber(call('HGET', A .. 'message:' .. id, 'since')) or 0) < before
end

local function main()
  if what == 'restore' then call('DEL', A .. 'restored') end -- a person has looked

  local function next_to_try()
    local _, _, _, last = unpack(read_table(call('HGET', A .. 'blocks', what)))
    local next = (last and call('ZRANK', hold, last) or -1) + 1
    local found = call('ZRANGE', hold, next, next)
    return #found > 0 and found or call('ZRANGE', hold, 0, 0)
  end

  local found = one and next_to_try() or call('ZRANGE', hold, pass, pass + most - 1)
  for _, id in ipairs(found) do
    local message = Message.read(id)
    if message.state == 'held' and not is_held_before(id) then
      later = later + 1
    elseif message.state == 'held' then
      Message.transition(message, 'queued', reason, {}, {})
      freed = freed + 1
    else
      call('ZREM', hold, id)
    end
  end
  if call('EXISTS', hold) == 0 then call('HDEL', A .. 'holds', what) end
  call('HDEL', A .. 'blocks', what)
  local tenant = string.match(what, '^tenant:([^/]+)$')
  if tenant then Share.end_rests(tenant) end -- rows of its batches wait in their chunks
  if tenant then Job.publish('policy') elseif freed > 0 then Job.wake() end
  return {freed, later, #found}
end
