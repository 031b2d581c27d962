-- The time, by Redis's own clock. After values.lua.
--
-- Keys
--   sesq:clock:offset   string   seconds added to Redis's clock, or =<s> to stop it there; tests only

local call = redis.call -- damage.lua puts its own in its place

-- Seconds since the epoch: the same moment for all that one script does. To a tenth of a millisecond, since
-- cjson writes so many digits, and the same moment is then the same number wherever it is kept.
local moment, by_redis
local function now()
  if moment then return moment end
  local seconds, microseconds = unpack(call('TIME'))
  by_redis = tonumber(seconds)
  local offset = call('GET', 'sesq:clock:offset') or '0'
  if string.sub(offset, 1, 1) == '=' then moment = tonumber(string.sub(offset, 2))
  else moment = math.floor((seconds + tonumber(offset)) * 1e4 + microseconds / 100) / 1e4 end
  return moment
end

-- The same in whole seconds, by Redis's clock also where a test has moved the scripts': RQ goes by it.
local function real_seconds()
  now()
  return by_redis
end
