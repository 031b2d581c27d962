-- Cancel: those recipients of a chunk are taken back who still wait in it, since RQ was told to cancel its job; those on
-- their way are not. After lifecycle.lua and batch.lua.
--
-- ARGV[3] chunk
-- Returns {how many they were, why}.

local c = read_chunk(ARGV[3])
if not c or not has_rows(c) then return {0, CANCELLED_IN_RQ} end
local n = c.state == 'cancelled' and 0 or take_back(c, CANCELLED_IN_RQ) -- those of a cancelled batch are counted already
seat(c)
return {n, CANCELLED_IN_RQ}
