-- Sets the expiry of more chunks of a batch that has ended or was reopened. After messages.lua.
--
-- Returns 1 if there is more to do.

local bid = call('SRANDMEMBER', A .. 'keeping')

local function main()
  if not bid then return 0 end
  if call('EXISTS', Batch.key(bid)) == 1 then Batch.keep_some(bid) else call('SREM', A .. 'keeping', bid) end
  return call('EXISTS', A .. 'keeping')
end
