-- Keep: goes on with batches whose chunks have not all been told how long they stay. After messages.lua.
--
-- Returns 1 where there is more to do.

local bid = call('SRANDMEMBER', A .. 'keeping')
if not bid then return 0 end
if call('EXISTS', A .. 'batch:' .. bid) == 1 then keep_some(bid) else call('SREM', A .. 'keeping', bid) end
return call('EXISTS', A .. 'keeping')
