-- Sets the expiry of the keys of a batch, for some chunks at a time. For the auditor; after
-- messages.lua.
--
-- ARGV[3] batch   [4] 1 to begin
-- Returns 1 if there is more to do.

local bid, begins = ARGV[3], ARGV[4] == '1'

local function main()
  if call('EXISTS', A .. 'batch:' .. bid) == 0 then return 0 end
  if begins then Batch.keep(bid) else Batch.keep_some(bid) end
  return call('SISMEMBER', A .. 'keeping', bid)
end
