-- Adds or removes a consumer of the stream. After stream.lua.
--
-- ARGV[3] listen, or forget   [4] consumer   [5] cap, for listen: events that stay
-- Returns 1 if that changed anything. Without consumers, no events are written.

local act, consumer, most = ARGV[3], ARGV[4], ARGV[5]
local field = 'consumer:' .. consumer

local function is_known() return call('HEXISTS', LISTENING, field) == 1 end

local function begin()
  call('XGROUP', 'CREATE', EVENTS, consumer, '$', 'MKSTREAM')
  call('HSET', LISTENING, 'cap', most, field, now_as_text())
end

local function forget()
  if last_delivered(consumer) then call('XGROUP', 'DESTROY', EVENTS, consumer) end
  call('DEL', A .. 'reader:' .. consumer)
  call('HDEL', LISTENING, field, 'gap:' .. consumer)
  for _, name in ipairs(call('HKEYS', LISTENING)) do
    if string.find(name, '^consumer:') then return end
  end
  call('DEL', LISTENING, EVENTS)
end

local function main()
  if is_known() == (act == 'listen') then return 0 end
  if act == 'listen' then begin() else forget() end
  return 1
end
