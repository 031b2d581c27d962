-- The time, by Redis's own clock: seconds since the epoch. Put before every script that asks for it.
--
-- Keys
--   sesq:clock:offset   string   seconds added to Redis's clock, or =<s> to stop it there; tests only

local call = redis.call

local function clock()
  local t, offset = call('TIME'), call('GET', 'sesq:clock:offset') or '0'
  if string.sub(offset, 1, 1) == '=' then return tonumber(string.sub(offset, 2)) end
  return t[1] + t[2] / 1e6 + tonumber(offset)
end
local now = clock()
