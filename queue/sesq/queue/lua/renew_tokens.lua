-- Renew: new tokens for what was started already: for another try within one delivery, or for one whose tokens are too old by now.
-- After lifecycle.lua and gate.lua.
--
-- ARGV[3] id   [4] claim_id   [5] lease (s)
--     [6] 1 where nothing was sent with the tokens that it has: they count for it, unless others have taken tokens since. Then the
--     bucket may have been full meanwhile, and what is given back late would be more than it holds
-- Returns {'granted', '0'}; {'rate' | 'paused' | 'ses_paused' | 'unsynced', seconds to wait}; or {state, ''} where it is not to be
-- sent: 'expired', 'cancelled', or what somebody else has made of it meanwhile, as if its worker had died.

local id, claim_id, lease = ARGV[3], ARGV[4], tonumber(ARGV[5])
local record = call('HMGET', A .. 'message:' .. id, 'state', 'claim_id', 'rate', 'expires_at', 'queue', 'batch', 'tokens_at')
if record[1] ~= 'sending' or record[2] ~= claim_id then return {record[1] or 'gone', ''} end
if tonumber(record[4]) and tonumber(record[4]) <= now then return {'expired', ''} end
local n, queue, batch = tonumber(record[3]) or 1, record[5], record[6]
local at = tonumber(record[7] or nil) -- when the tokens that it has were taken (s)
local with_batch = stopped(batch)
if with_batch == 'cancelled' then return {'cancelled', ''} end
local why = closed() or (with_batch or is_paused(queue)) and 'paused'
if why then return {why, '5'} end

local function note_tokens(taken)
  at = tonumber(taken)
  call('HSET', A .. 'message:' .. id, 'tokens_at', taken)
end
if at and ARGV[6] ~= '1' then -- answered by a failure
  account(at, n, 0)
  note_tokens('')
end
local level_before, on_way_before, ses_level_before = level, on_way, ses_level
if at then
  if at >= flows then refund(n) end
  not_sent(n, at)
end
if not may_go(n, id, at) then
  gather_for(id, n, '-')
  local wait = math.max(0.001, ready_at(n, id) - now)
  level, on_way, ses_level = level_before, on_way_before, ses_level_before -- it has them still when it asks again
  return {'rate', string.format('%.6f', wait)}
end
take(n, lease, id)
note_tokens(now)
call('ZADD', A .. 'leases', now + lease, id)
return {'granted', '0'}
