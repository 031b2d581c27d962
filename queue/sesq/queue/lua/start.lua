-- Start: the last look before granted messages go to SES. From here on they may have left. After lifecycle.lua.
--
-- ARGV[3] largest content to return (bytes)   [4…] id, claim_id, id, claim_id, …
-- Returns for each {envelope, attempts, on_unknown, content size (bytes), content or '', time left to it (s) or ''}; {} where it is no
-- longer this claim's to send; {'expired'} where its time has run out since the claim. A row that is packed has no envelope here.

local limit, answers = tonumber(ARGV[3]), {}
local function start(id, claim_id)
  local key = A .. 'message:' .. id
  local record = call('HMGET', key, 'state', 'claim_id', 'envelope', 'attempts', 'on_unknown', 'expires_at', 'packed')
  if record[1] ~= 'sending' or record[2] ~= claim_id then return {} end
  local expires = tonumber(record[6])
  if expires and expires <= now then return {'expired'} end
  call('HSET', key, 'started_at', now)
  local size = record[7] and 0 or call('STRLEN', A .. 'content:' .. id)
  local content = size > 0 and size <= limit and call('GET', A .. 'content:' .. id) or ''
  return {record[3] or '', record[4] or '0', record[5] or '', size, content, expires and string.format('%.6f', expires - now) or ''}
end
for i = 4, #ARGV, 2 do answers[#answers + 1] = start(ARGV[i], ARGV[i + 1]) end
return answers
