-- Mend: the keys of a batch are told how long they stay, some chunks at a time. For the auditor; after lifecycle.lua and batch.lua.
--
-- ARGV[3] batch   [4] 1 to begin
-- Returns 1 where there is more to do.

if call('EXISTS', A .. 'batch:' .. ARGV[3]) == 0 then return 0 end
if ARGV[4] == '1' then keep_batch(ARGV[3]) else keep_some(ARGV[3]) end
return call('SISMEMBER', A .. 'keeping', ARGV[3])
