-- Free: what was waited for has come true; the messages that waited go back into their lanes, oldest first.
-- After lifecycle.lua; also uses A blocks (hash: see settle.lua).
--
-- ARGV[3] what   [4] most to free   [5] reason   [6] 1: one alone, to try whether it is still in the way: the next one after
--     the one that tried last, so that none tries twice while others wait
-- Returns the number freed.

local what = ARGV[3]
if what == 'restore' then call('DEL', A .. 'restored') end -- a person has looked
local freed = 0

local function next_to_try()
  local hold, block = A .. 'hold:' .. what, call('HGET', A .. 'blocks', what)
  local last = read_table(block)[4]
  local next = (last and call('ZRANK', hold, last) or -1) + 1
  local found = call('ZRANGE', hold, next, next)
  return found[1] and found or call('ZRANGE', hold, 0, 0)
end

for _, id in ipairs(ARGV[6] == '1' and next_to_try() or call('ZRANGE', A .. 'hold:' .. what, 0, tonumber(ARGV[4]) - 1)) do
  if call('HGET', A .. 'message:' .. id, 'state') == 'held' then
    move(id, 'queued', ARGV[5], {}, {})
    freed = freed + 1
  else
    call('ZREM', A .. 'hold:' .. what, id)
  end
end
if call('EXISTS', A .. 'hold:' .. what) == 0 then call('HDEL', A .. 'holds', what) end
call('HDEL', A .. 'blocks', what)
if freed > 0 then wake() end
return freed
