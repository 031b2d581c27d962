-- Settle: what became of messages that were granted. The MessageIds, the new states and the gate's books are
-- written in one step. After gate.lua; also
--   A blocks         hash    what SES refuses as a whole -> JSON [since (s), why, doubt (as below), id of the
--                            message that it refused last]
--   R results:<id>   stream  RQ's: how its runs ended
--
-- ARGV[3] JSON [{
--   id, claim_id     of the grant
--   state        the new one              reason      in words, for the history
--   message_id   SES's, when sent         attempts    tries spent so far
--   delay        s, for retrying          front       back to the head of its lane
--   hold         what it waits for        held_because  in words
--   block        true: everything of that sender, set or account waits with it
--   doubt        true: SES refuses what its own list of identities allows, so that only a try can tell when
--                that ends
--   unsure       it is sent again, though SES may have taken it
--   spared       {rate, day}: recipients that it was not sent to, and those of them that count towards the
--                day
--   refund_rate  nothing went to SES      refund_day  SES took nothing
--   throttled    SES answered "too fast"  day_spent   SES answered "day spent"
--   paused       why SES sends nothing for us
--   drop_content the body is deleted
--   rq           {type, name, value}: the job's result as RQ writes it
--   envelope, job   of a row that is not simply sent or given back: what makes a message of it (see
--                   make_record)
-- }, …]
-- Returns for each the state it came to; '' where it was already judged otherwise. A MessageId counts even
-- then: SES has taken it.

-- Accounts for the tokens of a message, and refunds the recipients of the day that it did not use.
local function account_for(gate, message, result, mine)
  local rate, day = tonumber(message.rate) or 0, tonumber(message.day) or 0
  local spared_rate, spared_day = unpack(result.spared or {0, 0})
  local rate_back = mine and (result.refund_rate and rate or spared_rate) or 0
  local day_back = mine and (result.refund_day and day or spared_day) or 0
  account(gate, tonumber(message.tokens_at), rate - rate_back, rate_back)
  local taken_in = math.floor((tonumber(message.claimed) or now()) / 60)
  if day_back > 0 and gate.ledger.minute - taken_in < SLOTS then uncount(gate.ledger, taken_in, day_back) end
end

-- Notes what SES's answer means for all mail of the account.
local function heed(gate, result)
  if result.throttled then
    -- Both buckets start again from nothing, and a tenth of the rate is withheld for a while; a half at the
    -- most.
    gate.own.level, gate.own.at = math.min(gate.own.level, 0), now()
    draw(gate.ses, math.max(0, tokens(gate.ses)))
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

local function move_on(message, result, mine)
  local fields = mine and {'tokens_at', ''} or {}
  for _, name in ipairs({'message_id', 'attempts'}) do
    if result[name] then
      fields[#fields + 1] = name
      fields[#fields + 1] = result[name]
    end
  end
  if result.unsure then set_message(message, 'unsure', '1') end
  if message.state == 'queued' then leave_queue(message.queue, message.id) end
  local opts = {due = now() + (result.delay or 0), front = result.front, result = result}
  if not result.hold then return transition(message, result.state, result.reason or '', fields, opts) end
  local why = result.held_because or result.reason
  return hold_back(message, result.hold, why, message.created or now(), result.reason or '', fields, opts)
end

local function note_result(message, result)
  local key = R .. 'results:' .. message.id
  call('XADD', key, '*', 'type', result.rq.type, 'worker_name', message.worker or '', result.rq.name,
    result.rq.value)
  call('EXPIRE', key, seconds_kept(message.keep))
end

local done, returned = {}, {} -- returned: the queues to which something came back
local function settle(gate, result)
  local message = done[result.id] and {} or read_message(result.id)
  if not RQ_STATE[message.state or ''] then return '' end -- gone, or of another version's
  local granted = message.claim_id == result.claim_id
  local mine = granted and message.state == 'sending'
  if granted then account_for(gate, message, result, mine) end
  if not mine then -- somebody has judged it meanwhile
    if granted then set_message(message, 'tokens_at', '') end
    if result.state ~= 'sent' or RQ_STATE[message.state] == 'finished' then return '' end
  end
  heed(gate, result)
  local reached, packed = move_on(message, result, mine)
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
  if result.drop_content then call('DEL', A .. 'content:' .. message.id) end
  return reached
end

return with_gate(function (gate)
  local answers = {}
  for i, result in ipairs(cjson.decode(ARGV[3])) do answers[i] = settle(gate, result) end
  for queue in pairs(returned) do wake(queue) end
  return answers
end)
