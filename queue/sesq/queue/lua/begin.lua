-- Begin: the last look before a claimed message goes to SES. From here on it may have left.
-- After lifecycle.lua.
--
-- ARGV[3] id   [4] execution   [5] largest content to return (bytes)
-- Returns {envelope, attempts, on_unknown, content size (bytes), content or '', time left to it (s) or ''}; {} where the message
-- is no longer this claim's to send; {'expired'} where its time has run out since the claim.

local id, execution, limit = ARGV[3], ARGV[4], tonumber(ARGV[5])
local key = A .. 'message:' .. id
local record = call('HMGET', key, 'state', 'execution', 'envelope', 'attempts', 'on_unknown', 'expires_at')
if record[1] ~= 'sending' or record[2] ~= execution then return {} end
local expires = tonumber(record[6])
if expires and expires <= now then return {'expired'} end
call('HSET', key, 'posted', now)
local size = call('STRLEN', A .. 'content:' .. id)
local content = size <= limit and call('GET', A .. 'content:' .. id) or ''
return {record[3], record[4] or '0', record[5] or '', size, content, expires and string.format('%.6f', expires - now) or ''}
