-- A token bucket, for the gate and for the strategy of `limits`. Whoever puts it before a script sets:
--   level   tokens at `flows`; below zero is debt      flows   from when tokens flow (s)
--   pace    tokens that flow in a second
--   burst   most tokens that gather while nobody takes any
--   brim, refill   the same two of whoever judges in the end: no less than burst and pace
-- n go when min(n, burst) tokens are there, and all n are taken, so that what is larger than the bucket goes too, and is
-- paid for afterwards. What is larger than ours alone goes when the judge's has had the time to gather min(n, brim).
-- `now` (s) is the clock's.

local level, flows, pace, burst, brim, refill
local function flown() return math.max(0, now - flows) end
local function tokens() return math.min(burst, level + flown() * pace) end
local function enough(n)
  return tokens() >= math.min(n, burst) - 1e-6 and level + flown() * refill >= math.min(n, brim) - 1e-6
end
local function filled_in(n) return math.max((math.min(n, burst) - level) / pace, (math.min(n, brim) - level) / refill) end -- s from `flows`
local function draw(n) level, flows = tokens() - n, now end
local function untake(n) level = math.min(burst, level + n) end
