-- Settle: what became of messages that were granted. The MessageIds, the new states and the gate's books are written in one step.
-- After lifecycle.lua and gate.lua; also
--   A blocks         hash    what SES refuses as a whole -> JSON [since (s), why, doubt (as below), id of the message that it refused last]
--   R results:<id>   stream  RQ's: how its runs ended
--
-- ARGV[3] JSON [{
--   id, claim_id     of the grant
--   state        the new one              reason      in words, for the history
--   message_id   SES's, when sent         attempts    tries spent so far
--   delay        s, for retrying          front       back to the head of its lane
--   hold         what it waits for        held_because  in words
--   block        true: everything of that sender, set or account waits with it
--   doubt        true: SES refuses what its own list of identities allows, so that only a try can tell when that ends
--   unsure       it is sent again, though SES may have taken it
--   spared       {rate, day}: recipients that it was not sent to, and those of them that count towards the day
--   refund_rate  nothing went to SES      refund_day  SES took nothing
--   throttled    SES answered "too fast"  day_spent   SES answered "day spent"     paused   why SES sends nothing for us
--   drop_content the body goes
--   rq           {type, name, value}: the job's result as RQ writes it
--   envelope, job   of a row that is not simply sent or given back: what makes a message of it (see make_record)
-- }, …]
-- Returns for each the state it came to; '' where it was already judged otherwise. A MessageId counts even then: SES has taken it.

local returned = {} -- the queues to which something came back
local function settle(o)
  local id, key = o.id, A .. 'message:' .. o.id
  local was = call('HMGET', key, 'state', 'claim_id', 'rate', 'day', 'claimed', 'queue', 'created', 'worker', 'keep', 'tokens_at')
  if not PLACE[was[1] or ''] then return '' end -- gone, or of another version's

  local mine = was[1] == 'sending' and was[2] == o.claim_id
  local spared = o.spared or {0, 0}
  local rate_back = mine and (o.refund_rate and (tonumber(was[3]) or 0) or spared[1]) or 0
  local day_back = o.refund_day and (tonumber(was[4]) or 0) or spared[2]
  if was[2] == o.claim_id then account(tonumber(was[10] or nil), (tonumber(was[3]) or 0) - rate_back, rate_back) end
  if not mine then -- somebody has judged it meanwhile
    if was[2] == o.claim_id then call('HSET', key, 'tokens_at', '') end
    if o.state ~= 'sent' or PLACE[was[1]][1] == 'finished' then return '' end
  end

  if mine and day_back > 0 then
    local m = math.floor((tonumber(was[5]) or now) / 60)
    if minute - m < SLOTS then count(m, -day_back) end
  end
  if o.throttled then
    -- Both buckets start again from nothing, and a tenth of the rate is withheld for a while; a half at the most.
    level, flows = math.min(level, 0), now
    charge(math.max(0, ses_tokens(now)), now)
    call('HSET', A .. 'gate', 'slow', math.min(0.5, slow + 0.1), 'slow_at', now)
    call('HINCRBY', A .. 'gate', 'throttles', 1)
  end
  if o.day_spent then call('HSET', A .. 'snapshot', 'others', math.max(others, daily < math.huge and daily - total or 0)) end
  if o.paused then call('HSET', A .. 'snapshot', 'sending', 0, 'paused_because', o.paused, 'paused_at', now) end

  local fields = mine and {'tokens_at', ''} or {}
  for _, name in ipairs({'message_id', 'attempts'}) do
    if o[name] then fields[#fields + 1] = name fields[#fields + 1] = o[name] end
  end
  if o.unsure then call('HSET', key, 'unsure', 1) end
  if was[1] == 'queued' then leave_queue(was[6], id) end
  local opts = {due = now + (o.delay or 0), front = o.front,
                row = {message_id = o.message_id, unused = o.refund_rate, envelope = o.envelope, job = o.job}}
  local why, reached, packed = o.held_because or o.reason, nil, false
  if o.hold then reached = hold_back(id, o.hold, why, was[7] or now, o.reason or '', fields, opts)
  else reached, packed = move(id, o.state, o.reason or '', fields, opts) end
  if o.block then call('HSET', A .. 'blocks', o.hold, cjson.encode({now, why, o.doubt or false, id})) end
  if packed then return reached end
  if reached == 'queued' then returned[was[6]] = true end
  if o.rq and reached == o.state then
    call('XADD', R .. 'results:' .. id, '*', 'type', o.rq.type, 'worker_name', was[8] or '', o.rq.name, o.rq.value)
    call('EXPIRE', R .. 'results:' .. id, seconds_kept(was[9]))
  end
  if o.drop_content then call('DEL', A .. 'content:' .. id) end
  return reached
end

local answers = {}
for i, each in ipairs(cjson.decode(ARGV[3])) do answers[i] = settle(each) end
for queue in pairs(returned) do wake(queue) end
return answers
