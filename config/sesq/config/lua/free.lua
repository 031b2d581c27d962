-- Free: what was waited for has come true; the messages that waited go back into their lanes, oldest first.
-- After lifecycle.lua; also uses A blocks (hash: see settle.lua).
--
-- ARGV[3] what   [4] most to free   [5] reason
-- Returns the number freed.

local what = ARGV[3]
local freed = 0
for _, id in ipairs(call('ZRANGE', A .. 'hold:' .. what, 0, tonumber(ARGV[4]) - 1)) do
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
