-- Set aside: a client has met a key of another type than it expected. After lifecycle.lua.
--
-- ARGV[3] key   [4] the type that it ought to have
-- Changes nothing where another client was quicker.

local kind = redis.call('TYPE', ARGV[3]).ok
if kind ~= 'none' and kind ~= ARGV[4] then set_key_aside(ARGV[3]) end
return 1
