-- Level: writes down how bad the account's reputation is.
--
-- ARGV[1] account   [3] the level: fine, warn or pause
-- sesq:<account>:reputation   hash, its field `level`
-- Returns the level before.

local key = 'sesq:' .. ARGV[1] .. ':reputation'
local before = redis.call('HGET', key, 'level') or 'fine'
redis.call('HSET', key, 'level', ARGV[3])
return before
