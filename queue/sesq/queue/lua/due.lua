-- Due: asks whether this process is to read the account from SES now. After server.lua.
--
-- ARGV[3] s: for so long no other process reads it
--     [4] s: the longest such time; a longer one is from before the clock was set back
--     [5] 1: sets that time although the account is not due
--   A sync   hash   server (the run of the Redis server on which it was read, or is being read), until (s: no
--                   other process reads it before)
-- Returns 1 or 0. An account that was read on another server, or in another run of it, is due.

local seconds, longest, surely = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local sync = read_hash(A .. 'sync')
local left = (tonumber(sync['until']) or 0) - now()

local function main()
  if not surely and sync.server == Server.run_id() and left > 0 and left <= longest then return 0 end
  call('HSET', A .. 'sync', 'server', Server.run_id(), 'until', now() + seconds)
  return 1
end
