-- The token bucket as a strategy of `limits`. After bucket.lua.
--
-- KEYS[1] hash   level (tokens; below zero is debt), at (s: the time from which they flow)
-- ARGV[1] pace (tokens/s)   [2] burst (tokens)   [3] cost (tokens)   [4] 1 to take them, 0 to look
-- Returns {1 if the cost may be taken, tokens that are there, when the bucket is full again (s)}
-- A bucket without a key is full: the key expires when its bucket is full.

local key, pace, burst = unpack(KEYS), tonumber(ARGV[1]), tonumber(ARGV[2])
local cost, taken = tonumber(ARGV[3]), ARGV[4] == '1'
local level, at = unpack(call('HMGET', key, 'level', 'at'))
local bucket = {level = tonumber(level) or burst, at = tonumber(at) or now(), pace = pace, burst = burst}

local granted = Bucket.enough(bucket, cost)
taken = taken and granted
if taken then Bucket.draw(bucket, cost) end
local full_at = bucket.at + math.max(0, burst - bucket.level) / pace
if taken then
  call('HSET', key, 'level', string.format('%.17g', bucket.level), 'at', string.format('%.6f', bucket.at))
  call('EXPIRE', key, math.ceil(full_at - now()) + 1)
end
return {granted and 1 or 0, string.format('%.6f', Bucket.tokens(bucket)),
  string.format('%.6f', math.max(now(), full_at))}
