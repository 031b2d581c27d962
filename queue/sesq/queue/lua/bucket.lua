-- A token bucket, for the gate and for the strategy of `limits`. After clock.lua. A bucket is a table of
--   level   tokens at `at`; below zero is debt      at      the time from which tokens flow (s)
--   pace    tokens that flow in a second            burst   most tokens that gather
-- n go when min(n, burst) tokens are there, and all n are taken. So a message larger than the bucket goes
-- too, and the debt is paid afterwards.

function Bucket.tokens(bucket, at)
  return math.min(bucket.burst, bucket.level + math.max(0, (at or now()) - bucket.at) * bucket.pace)
end
function Bucket.enough(bucket, n) return Bucket.tokens(bucket) >= math.min(n, bucket.burst) - 1e-6 end
function Bucket.filled_at(bucket, n)
  return bucket.at + (math.min(n, bucket.burst) - bucket.level) / bucket.pace
end
function Bucket.draw(bucket, n, at)
  at = at or now()
  bucket.level, bucket.at = Bucket.tokens(bucket, at) - n, at
end
function Bucket.refund(bucket, n) bucket.level = math.min(bucket.burst, bucket.level + n) end
