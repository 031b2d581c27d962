-- A token bucket, for the gate and for the strategy of `limits`. Whoever puts it before a script sets:
--   level   tokens at `flows`; below zero is debt      flows   from when tokens flow (s)
--   pace    tokens that flow in a second
--   brim    most tokens that gather while nobody takes any
--   burst   of which no more than this are there for one who takes: less than brim where somebody else judges by brim
-- n go when min(n, brim) tokens are there, and all n are taken, so that what is larger than the bucket goes too, and is
-- paid for afterwards. `now` (s) is the clock's.

local level, flows, pace, brim, burst
local function tokens() return math.min(brim, level + math.max(0, now - flows) * pace) end
local function needs(n) return math.min(n, brim) end
local function enough(n) return tokens() >= needs(n) - 1e-6 end
local function draw(n) level, flows = math.min(tokens(), burst) - n, now end
local function untake(n) level = math.min(burst, level + n) end
