-- Begin: the last look before rows of a slice go to SES. From here on they may have left. After lifecycle.lua; keys in
-- slice.lua.
--
-- ARGV[3] slice   [4] execution   [5] the first row that may not have left yet: rows go in their order
-- Returns 1, or 0 where the slice is no longer this claim's to send.

local key = A .. 'slice:' .. ARGV[3]
if call('HGET', key, 'execution') ~= ARGV[4] then return 0 end
call('HSET', key, 'posted', ARGV[5])
return 1
