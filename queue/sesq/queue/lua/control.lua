-- Keeps all processes together at one control call a second, as SES allows. After jobs.lua.
--
-- ARGV[3] ms between two calls
--   A control   string   when the last one was made (ms), by Redis's own clock even if a test has moved the
--                        clock of the scripts: SES does not use that clock. It expires only so that no key is
--                        left. A time in the future is from before the clock was set back
-- Returns 0 if a call may be made now, and notes it; else the ms until one may.

local spacing = tonumber(ARGV[3])
local seconds, microseconds = unpack(call('TIME'))
local at = seconds * 1000 + math.floor(microseconds / 1000)
local left = (tonumber(call('GET', A .. 'control')) or 0) + spacing - at

local function main()
  if left > 0 and left <= spacing then return left end
  call('SET', A .. 'control', string.format('%.0f', at), 'EX', 60)
  return 0
end
