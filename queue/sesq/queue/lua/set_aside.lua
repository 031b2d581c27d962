-- Set aside: a client has met a key of another type than it expected. After messages.lua.
--
-- ARGV[3] key   [4] the type that it ought to have
-- Changes nothing where another client was quicker.

local key, right = ARGV[3], ARGV[4]
local kind = redis.call('TYPE', key).ok

local function main()
  if kind ~= 'none' and kind ~= right then Damage.set_key_aside(key) end
  return 1
end
