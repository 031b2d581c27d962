-- Token bucket: the strategy of `limits`. After clock.lua and bucket.lua.
--
-- KEYS[1] hash   level (tokens; below zero is debt), at (s: from when they flow)
-- ARGV[1] pace (tokens/s)   [2] burst (tokens)   [3] cost (tokens)   [4] 1 to take them, 0 to look
-- Returns {1 where the cost may be taken, tokens that are there, when the bucket is full again (s)}
-- A bucket that nobody knows is full. The key goes when the bucket is full, so that this stays true.

pace, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local cost, take = tonumber(ARGV[3]), ARGV[4] == '1'
local known = call('HMGET', KEYS[1], 'level', 'at')
level, flows = tonumber(known[1]) or burst, tonumber(known[2]) or now

local granted = enough(cost)
if granted and take then draw(cost) end
local full_at = flows + math.max(0, burst - level) / pace
if granted and take then
  call('HSET', KEYS[1], 'level', string.format('%.17g', level), 'at', string.format('%.6f', flows))
  call('EXPIRE', KEYS[1], math.ceil(full_at - now) + 1)
end
return {granted and 1 or 0, string.format('%.6f', tokens()), string.format('%.6f', math.max(now, full_at))}
