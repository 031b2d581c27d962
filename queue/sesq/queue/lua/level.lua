-- Writes the level of the account's reputation. After jobs.lua.
--
-- ARGV[3] the level: fine, warn or pause
--   A reputation   hash, its field `level`
-- Returns the level before.

local before = call('HGET', A .. 'reputation', 'level') or 'fine'

local function main()
  call('HSET', A .. 'reputation', 'level', ARGV[3])
  return before
end
