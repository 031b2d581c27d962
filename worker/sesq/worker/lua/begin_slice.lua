-- Begin: the last look before a slice goes to SES. From here on all of its rows may have left. After lifecycle.lua.
--
-- ARGV[3] chunk:start   [4] execution
-- Returns 1, or 0 where the slice is no longer this claim's to send.

local key = A .. 'slice:' .. ARGV[3]
if call('HGET', key, 'execution') ~= ARGV[4] then return 0 end
call('HSET', key, 'posted', 1)
return 1
