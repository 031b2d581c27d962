-- The time, by Redis's own clock: seconds since the epoch. Put before every script that asks for it.
--
-- Keys
--   sesq:clock:offset   string   seconds added to Redis's clock, or =<s> to stop it there; tests only

local call = redis.call -- damage.lua puts its own in its place

local function clock()
  local t, offset = call('TIME'), call('GET', 'sesq:clock:offset') or '0'
  if string.sub(offset, 1, 1) == '=' then return tonumber(string.sub(offset, 2)) end
  -- to a tenth of a millisecond: so many digits cjson writes, and the same moment is the same number wherever it is kept
  return math.floor((t[1] + tonumber(offset)) * 1e4 + t[2] / 100) / 1e4
end
local now = clock()
