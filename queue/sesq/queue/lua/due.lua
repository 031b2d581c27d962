-- Tells whether this process should sync the account now. After server.lua.
--
-- ARGV[3] s: for so long no other process syncs it
--     [4] s: the longest such time; a longer one is from before the clock was set back
--     [5] 1: sets that time although the account is not due
--   A sync   hash   server (the run id of the Redis server at the last sync), until (s: no
--                   other process syncs before)
-- Returns 1 or 0. The account is due if the last sync was on another server, or in another run of it.

local seconds, longest, surely = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local sync = read_hash(A .. 'sync')
local left = (tonumber(sync['until']) or 0) - now()

local function main()
  if not surely and sync.server == Server.run_id() and left > 0 and left <= longest then return 0 end
  call('HSET', A .. 'sync', 'server', Server.run_id(), 'until', now() + seconds)
  return 1
end
