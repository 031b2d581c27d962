-- Again: new tokens for what was begun already: for another try within one delivery, or for one whose tokens are too old by now.
-- After lifecycle.lua, gate.lua and slice.lua; also uses A lent (zset: see reseat.lua).
--
-- ARGV[3] id   [4] execution   [5] lease (s)   [6] slice, of a row of a batch; else empty
--     [7] 1 where nothing was sent with the tokens that it has: they count for it, unless others have taken tokens since. Then the
--     bucket may have been full meanwhile, and what is given back late would be more than it holds
-- Returns {'granted', '0'}; {'rate' | 'paused' | 'ses_paused' | 'unsynced', seconds to wait}; or {state, ''} where it is not to be
-- sent: 'expired', 'cancelled', or what somebody else has made of it meanwhile, as if its worker had died.

local id, execution, lease, slice = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local n, queue, batch, claimed

if slice ~= '' then
  local s = call('HMGET', A .. 'slice:' .. slice, 'execution', 'chunk', 'claimed')
  local c = s[1] == execution and read_chunk(s[2])
  if not c then return {'gone', ''} end
  n, queue, batch, claimed = 1, c.queue, c.batch, tonumber(s[3])
else
  local record = call('HMGET', A .. 'message:' .. id, 'state', 'execution', 'rate', 'expires_at', 'queue', 'batch', 'claimed')
  if record[1] ~= 'sending' or record[2] ~= execution then return {record[1] or 'gone', ''} end
  call('ZADD', A .. 'lent', 'XX', now + 2 * lease, id)
  if tonumber(record[4]) and tonumber(record[4]) <= now then return {'expired', ''} end
  n, queue, batch, claimed = tonumber(record[3]), record[5], record[6], tonumber(record[7])
end
local with_batch = stopped(batch)
if with_batch == 'cancelled' then return {'cancelled', ''} end
local why = closed() or (with_batch or is_paused(queue)) and 'paused'
if why then return {why, '5'} end

local has_the_last = ARGV[7] == '1' and (gate[3] == execution or (claimed or 0) >= flows)
answered(execution) -- by a failure, or not asked yet
local before = level
if has_the_last then untake(n) end
if not enough(n) then
  local wait = math.max(0.001, ready_at(n) - now)
  level = before
  if serial and has_the_last then gate[3] = execution end -- so that it has them still when it asks again
  return {'rate', string.format('%.6f', wait)}
end
take(n, execution, lease)
if slice == '' then call('ZADD', A .. 'leases', now + lease, id) end
return {'granted', '0'}
