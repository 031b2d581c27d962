-- Takes new tokens for a started message: for another attempt within one delivery, or because its
-- tokens are too old. After gate.lua.
--
-- ARGV[3] id   [4] claim_id   [5] lease (s)
--     [6] 1 if nothing was sent with the tokens that it has. They are refunded first, unless other mail has
--     taken tokens since: the bucket may have been full in the meantime, and would then get more than it can
--     hold
-- Returns {'granted', '0'}; {'rate' | 'paused' | 'ses_paused' | 'unsynced', seconds to wait}; or {state, ''}
-- if it must not be sent: 'expired', 'cancelled', or the state that another worker has given it, because it
-- took this worker for dead.

local id, claim_id, lease, unused = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6] == '1'

-- Returns why the message may not go, and for how long (s); nil if only the rate can still stop it.
local function refusal(gate, message)
  if message.state ~= 'sending' or message.claim_id ~= claim_id then return message.state or 'gone', '' end
  local expires = tonumber(message.expires_at)
  if expires and expires <= now() then return 'expired', '' end
  local with_batch = Batch.stopped(message.batch)
  if with_batch == 'cancelled' then return 'cancelled', '' end
  local why = Gate.why_closed(gate) or (with_batch or Gate.is_paused(gate, message.queue)) and 'paused'
  if why then return why, '5' end
end

-- Refunds unused tokens that were taken at `at` (s). Returns a function that undoes this.
local function give_back(gate, n, at)
  local level, on_way, ses_level = gate.own.level, gate.on_way, gate.ses.level
  if at >= gate.own.at then Bucket.refund(gate.own, n) end
  Gate.take_off_way(gate, n, at)
  return function () gate.own.level, gate.on_way, gate.ses.level = level, on_way, ses_level end
end

local function renew(gate)
  local message = Message.read(id)
  local why, seconds = refusal(gate, message)
  if why then return {why, seconds} end
  local n, at = tonumber(message.rate) or 1, tonumber(message.tokens_at)
  if at and not unused then -- answered by a failure
    Gate.account(gate, at, n, 0)
    Message.set(message, 'tokens_at', '')
    at = nil
  end
  local keep_them = at and give_back(gate, n, at)
  if not Gate.may_go(gate, n, id, at) then
    Gate.gather_for(gate, id, n, '-')
    local wait = math.max(0.001, Gate.ready_at(gate, n, id) - now())
    if keep_them then keep_them() end -- it still has them when it asks again
    return {'rate', string.format('%.6f', wait)}
  end
  Gate.take(gate, n, lease, id)
  Message.set(message, 'tokens_at', now())
  call('ZADD', A .. 'leases', now() + lease, id)
  return {'granted', '0'}
end

local function main() return with_gate(renew) end
