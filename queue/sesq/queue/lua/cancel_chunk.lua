-- Cancels the recipients that still wait in a chunk, because somebody cancelled its job with RQ.
-- Recipients that are on their way are not cancelled. After messages.lua.
--
-- ARGV[3] chunk
-- Returns {how many they were, why}.

local chunk = Chunk.read(ARGV[3])

local function main()
  if not chunk or not Chunk.has_rows(chunk) then return {0, CANCELLED_IN_RQ} end
  -- the rows of a cancelled batch are counted already
  local n = chunk.state == 'cancelled' and 0 or Chunk.take_back(chunk, CANCELLED_IN_RQ)
  Chunk.sync_job(chunk)
  return {n, CANCELLED_IN_RQ}
end
