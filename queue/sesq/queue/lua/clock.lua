-- The time, by Redis's own clock. After values.lua.
--
-- Keys
--   sesq:clock:offset   string   seconds added to Redis's clock, or =<s> to stop it there; tests only

local call = redis.call -- damage.lua replaces it

-- Returns seconds since the epoch: the same moment for all that one script does. It is cut to a tenth of a
-- millisecond, because cjson writes no more digits: so a moment is the same number wherever it is stored.
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

-- Returns the same moment as text: Redis would write a number anew for each command, with 17 digits.
local moment_as_text
local function now_as_text()
  moment_as_text = moment_as_text or string.format('%.4f', now())
  return moment_as_text
end

-- Returns whole seconds by Redis's own clock, even if a test has moved the clock of the scripts: RQ uses it.
local function real_seconds()
  now()
  return by_redis
end
