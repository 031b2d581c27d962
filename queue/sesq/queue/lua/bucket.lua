-- A token bucket, for the gate and for the strategy of `limits`. Whoever puts it before a script sets:
--   level   tokens at `flows`; below zero is debt      flows   from when tokens flow (s)
--   pace    tokens that flow in a second
--   burst   most tokens that gather while nobody takes any
-- n go when min(n, burst) tokens are there, and all n are taken, so that what is larger than the bucket goes too, and is
-- paid for afterwards. `now` (s) is the clock's.

local level, flows, pace, burst
local function tokens() return math.min(burst, level + math.max(0, now - flows) * pace) end
local function enough(n) return tokens() >= math.min(n, burst) - 1e-6 end
local function filled_at(n) return flows + (math.min(n, burst) - level) / pace end
local function draw(n) level, flows = tokens() - n, now end
local function refund(n) level = math.min(burst, level + n) end
