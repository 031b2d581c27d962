-- Cancel: those recipients of a chunk who still wait in it are taken back; those on their way are not. After lifecycle.lua and batch.lua.
--
-- ARGV[3] chunk   [4] reason
-- Returns how many they were.

local c = read_chunk(ARGV[3])
if not c or c.state == 'cancelled' or not has_rows(c) then return 0 end
local n = c.n - c.cursor
for from, to in string.gmatch(c.redo, '(%d+)-(%d+)') do n = n + to - from end
call('HSET', A .. 'chunk:' .. c.id, 'cancelled', ARGV[4])
c.state = 'cancelled'
seat(c)
tally(c.batch, 'waiting', 'cancelled', n)
return n
