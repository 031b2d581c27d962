-- Settles the results of granted messages. The MessageIds, the new states and the gate's data are
-- written in one step. After gate.lua; also
--   A blocks         hash    a hold that SES refuses as a whole -> JSON [since (s), why, doubt (as below), id
--                            of the message that it refused last]
--   R results:<id>   stream  RQ's: how its runs ended
--
-- ARGV[3] JSON [{
--   id, claim_id     of the grant
--   state        the new state            reason      in words, for the history
--   message_id   SES's, when sent         attempts    how many so far
--   delay        s, for retrying          front       back to the head of its lane
--   hold         what it waits for        held_because  in words
--   block        true: all mail of that sender, set or account waits too
--   doubt        true: SES refuses what its own list of identities allows, so only a try can tell when
--                that ends
--   unsure       it is sent again, although SES may have taken it
--   spared       {rate, day}: recipients that it was not sent to, and how many of them count towards the
--                day
--   refund_rate  nothing went to SES      refund_day  SES took nothing
--   throttled    SES answered "too fast"  day_spent   SES answered "day spent"
--   paused       why SES sends nothing for this account
--   drop_content the body is deleted
--   rq           {type, name, value}: the job's result as RQ writes it
--   envelope, job   for a row that is not simply sent or put back: what makes it a message (see
--                   make_record)
-- }, …]
-- Returns for each the state that it got; '' if it was already settled otherwise. A MessageId counts even
-- then: SES has taken it. So does the result of a worker that was taken for dead, for a message that became
-- unknown because of that.

-- Returns what a granted message took, and how much of it is refunded: it was not sent, or not to all
-- recipients. If its state was changed meanwhile, only tokens and day of a message that surely was not sent
-- are refunded.
local function costs_of(message, result)
  local rate, day = tonumber(message.rate) or 0, tonumber(message.day) or 0
  local spared_rate, spared_day = unpack(result.spared or {0, 0})
  local at = tonumber(message.tokens_at)
  local counts = message.state == 'sending' or (at and result.refund_rate)
  local claimed = tonumber(message.claimed) or now()
  return {
    at = at, queue = message.queue, rate = rate, claimed = claimed, minute = math.floor(claimed / 60),
    rate_back = counts and (result.refund_rate and rate or spared_rate) or 0,
    day_back = counts and (result.refund_day and day or spared_day) or 0,
  }
end

-- Accounts for the tokens, and refunds the recipients of the day.
local function account_for(gate, costs)
  if not costs then return end -- they are another claim's
  Tenant.refund(costs.queue, costs.rate_back, costs.day_back, costs.claimed)
  Gate.account(gate, costs.at, costs.rate - costs.rate_back, costs.rate_back)
  if costs.day_back > 0 and gate.ledger.minute - costs.minute < SLOTS then
    Ledger.uncount(gate.ledger, costs.minute, costs.day_back)
  end
end

-- Notes what SES's answer means for all mail of the account.
local function heed(gate, result)
  if result.throttled then
    -- Both buckets begin at zero (a debt stays), and a tenth of the rate is withheld for a while; a half at
    -- the most.
    for _, bucket in ipairs({gate.own, gate.ses}) do
      Bucket.draw(bucket, math.max(0, Bucket.tokens(bucket)))
    end
    call('HSET', A .. 'gate', 'slow', math.min(0.5, gate.slow + 0.1), 'slow_at', now())
    call('HINCRBY', A .. 'gate', 'throttles', 1)
  end
  if result.day_spent then
    local daily = gate.limits.daily
    local beyond_ours = daily < math.huge and daily - gate.ledger.total or 0
    call('HSET', A .. 'snapshot', 'others', math.max(gate.others, beyond_ours))
  end
  if result.paused then
    call('HSET', A .. 'snapshot', 'sending', 0, 'paused_because', result.paused, 'paused_at', now())
  end
end

-- Whether the message is under that claim; or was until its worker was taken for dead, and no worker has
-- claimed it since.
local function is_under(message, claim_id)
  if message.claim_id == claim_id then return true end
  return read(A .. 'message:' .. message.id, 'taken_over') == (message.claim_id or '') .. ' ' .. claim_id
end

-- Returns the costs when a worker that was taken for dead has a result after all: not the tokens, but
-- the day, which was kept. One attempt was counted that perhaps did not happen.
local function costs_of_doubt(message, result)
  local costs = costs_of(message, {})
  costs.day_back = result.refund_day and tonumber(message.day) or 0
  result.attempts = result.attempts or math.max(0, (tonumber(message.attempts) or 0) - 1)
  return costs
end

local function move_on(message, result, mine)
  local fields = mine and {'tokens_at', ''} or {}
  for _, name in ipairs({'message_id', 'attempts'}) do
    if result[name] then
      fields[#fields + 1] = name
      fields[#fields + 1] = result[name]
    end
  end
  if result.unsure then Message.set(message, 'unsure', '1') end
  if message.state == 'queued' then Job.leave_queue(message.queue, message.id) end
  local opts = {due = now() + (result.delay or 0), front = result.front, result = result,
    drop_content = result.drop_content}
  local reason = result.reason or ''
  if not result.hold then return Message.transition(message, result.state, reason, fields, opts) end
  local why, since = result.held_because or result.reason, message.created or now()
  return Message.hold_back(message, result.hold, why, since, reason, fields, opts)
end

local function note_result(message, result)
  local key = R .. 'results:' .. message.id
  call('XADD', key, '*', 'type', result.rq.type, 'worker_name', message.worker or '', result.rq.name,
    result.rq.value)
  call('EXPIRE', key, Job.seconds_kept(message.keep))
end

local done, returned = {}, {} -- returned: the queues into which messages were put back
local function settle(gate, result)
  local message = done[result.id] and {} or Message.read(result.id)
  if not RQ_STATE[message.state or ''] then return '' end -- gone, or in a state of another version
  local granted = is_under(message, result.claim_id)
  local costs = granted and costs_of(message, result)
  local mine = granted and message.state == 'sending'
  -- this worker does not know whether SES took it at an earlier attempt
  local knows = message.state == 'unknown' and message.claim_id ~= result.claim_id and message.unsure ~= '1'
  if granted and knows and result.state ~= 'unknown' then costs = costs_of_doubt(message, result)
  elseif not mine then -- it was settled meanwhile
    if granted then Message.set(message, 'tokens_at', '') end
    if result.state ~= 'sent' or RQ_STATE[message.state] == 'finished' then
      account_for(gate, costs)
      return ''
    end
  end
  local reached, packed = move_on(message, result, mine)
  account_for(gate, costs) -- after the state: if that fails, the next try finds the tokens as they were
  if mine then heed(gate, result) end -- an old answer says nothing about the account now
  if result.block then
    local why = result.held_because or result.reason
    call('HSET', A .. 'blocks', result.hold, cjson.encode({now(), why, result.doubt or false, result.id}))
  end
  if packed then
    done[result.id] = true
    return reached
  end
  if reached == 'queued' then returned[message.queue] = true end
  if result.rq and reached == result.state then note_result(message, result) end
  return reached
end

-- Whether an error is Lua's, and so comes from a damaged record. Redis's own errors may pass.
local function is_fault(wrong)
  local text = type(wrong) == 'table' and wrong.err or tostring(wrong)
  local faults = {'attempt to ', 'bad argument', 'must be strings or integers', 'Cannot serialise'}
  for _, words in ipairs(faults) do
    if string.find(text, words, 1, true) then return true end
  end
  return false
end

-- Settles one result. If a damaged record makes that impossible, the other results are still settled.
local function settle_alone(gate, result)
  local written, reached = pcall(settle, gate, result)
  if written then return reached end
  if not is_fault(reached) then error(reached, 0) end
  Damage.note(A .. 'message:' .. result.id, 'what became of it cannot be written')
  return ''
end

local function settle_all(gate)
  local answers = {}
  for i, result in ipairs(cjson.decode(ARGV[3])) do answers[i] = settle_alone(gate, result) end
  for queue in pairs(returned) do Job.wake(queue) end
  return answers
end

local function main() return with_gate(settle_all) end
