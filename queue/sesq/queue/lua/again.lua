-- Again: new tokens for what was begun already: for another try within one delivery, or for one whose tokens are too old by now.
-- After lifecycle.lua, gate.lua and slice.lua.
--
-- ARGV[3] id   [4] execution   [5] lease (s)   [6] slice, of a row of a batch; else empty
--     [7] 1 where nothing was sent with the tokens that it has: they count for it, unless others have taken tokens since. Then the
--     bucket may have been full meanwhile, and what is given back late would be more than it holds
-- Returns {'granted', '0'}; {'rate' | 'paused' | 'ses_paused' | 'unsynced', seconds to wait}; or {state, ''} where it is not to be
-- sent: 'expired', 'cancelled', or what somebody else has made of it meanwhile, as if its worker had died.

local id, execution, lease, slice = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local n, queue, batch, at -- at: when the tokens that it has were taken (s)

local row = string.match(id, '%d+$')
if slice ~= '' then
  local s = call('HMGET', A .. 'slice:' .. slice, 'execution', 'chunk', 'claimed', 'renewed')
  local c = s[1] == execution and read_chunk(s[2])
  if not c then return {'gone', ''} end
  n, queue, batch, at = 1, c.queue, c.batch, row_tokens_at(slice, row, s[3], s[4])
else
  local record = call('HMGET', A .. 'message:' .. id, 'state', 'execution', 'rate', 'expires_at', 'queue', 'batch', 'tokens_at')
  if record[1] ~= 'sending' or record[2] ~= execution then return {record[1] or 'gone', ''} end
  if tonumber(record[4]) and tonumber(record[4]) <= now then return {'expired', ''} end
  n, queue, batch, at = tonumber(record[3]) or 1, record[5], record[6], tonumber(record[7] or nil)
end
local with_batch = stopped(batch)
if with_batch == 'cancelled' then return {'cancelled', ''} end
local why = closed() or (with_batch or is_paused(queue)) and 'paused'
if why then return {why, '5'} end

local function note_tokens(taken)
  at = tonumber(taken)
  if slice == '' then call('HSET', A .. 'message:' .. id, 'tokens_at', taken)
  else call('HSET', A .. 'slice:' .. slice, 'renewed', 1, 'tokens_at:' .. row, taken) end
end
if at and ARGV[7] ~= '1' then -- answered by a failure
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
if slice == '' then call('ZADD', A .. 'leases', now + lease, id) end
return {'granted', '0'}
