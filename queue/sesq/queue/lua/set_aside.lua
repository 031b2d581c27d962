-- Sets a key aside that a client has found to have a wrong type. After messages.lua.
--
-- ARGV[3] key   [4] the type that it should have
-- Changes nothing if another client was quicker.

local key, right = ARGV[3], ARGV[4]
local kind = redis.call('TYPE', key).ok

local function main()
  if kind ~= 'none' and kind ~= right then Damage.set_key_aside(key) end
  return 1
end
