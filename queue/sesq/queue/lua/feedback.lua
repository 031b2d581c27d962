-- Counts an event of SES about one message once, and changes the message's state. After origins.lua; also
--   A event:<digest>   string, expires   1: this event is counted; noted: it is also in the history of its
--                      message
--   A reputation       hash    <hour since the epoch>:<sent|bounced|complained> -> recipients; level (fine,
--                              warn or pause); read_at, when events were last
--                              read (s); bounced, complained -> the acknowledged rate, see
--                              reputation.py
--   A tenant_reputation:<tenant>  hash, expires   the same counts of a tenant's mail
--   A counted_tenants  zset    tenant -> when an event of its mail was counted last (s)
--   A suppression      hash    address -> JSON {reason, at (s), source}
--   A message:<id>     its field `rank`: the rank of the event that changed it last (see below);
--                      `delayed_because`: why SES has not delivered it yet; '' after the next state
--
-- ARGV[3] JSON {
--   event        a digest that is the same for the same event     remember  s that it is known
--   count        {sent | bounced | complained: recipients}         suppress  {address: JSON}
--   origins      {domain: {name: recipients}, tag: {"name=value": recipients}}, of that count
--   take_off     [address, …] to remove from the list, if a complaint put them there
--   id           the message's, '' if the event names none
--   tenant       the tenant of the mail, '' if the event names none
--   default_tenant  the tenant of mail that was queued without one; '' for none
--   to, reason   the new state, and why
--   rank         events come in any order: an event changes the state only if its rank is higher
--   message_id   SES's                    drop_content
--   note         a line for the history of a message that stays in its state; '' for none
--   prevented    whether SES did not try to send it, because of a list or a check of the address
--   delayed      for `delayed_because`; '' for none
--   kind         of a bounce, for consumers of the stream: hard, soft, prevented or rejected
--   passed_on    {type, detail (JSON)}: an event that changes no state, for consumers of the stream
-- }
-- Returns the state the message was in; '' if there is no record of it.

local RANKS = {sent = 1, delivered = 3, bounced = 4, complained = 5}
local told = cjson.decode(ARGV[3])

local EVENT = A .. 'event:' .. told.event

-- Returns the tenant of the mail, from the event or from the queue in which the mail waited; '' for none, or
-- if the mail is unknown.
local function tenant_of()
  if told.tenant ~= '' then return told.tenant end
  local chunk = string.match(told.id, '^(.*-%d+)-%d+$')
  local queue = call('HGET', A .. 'message:' .. told.id, 'queue')
    or chunk and call('HGET', A .. 'chunk:' .. chunk, 'queue')
  if not queue then return '' end
  queue = Job.own_queue(queue)
  local name = string.sub(queue, #Job.lane_of(queue) + 2)
  return name ~= '' and name or told.default_tenant
end

local KEPT = 8 * 86400 -- s: a week counts
local function count_for_tenant(hour)
  local tenant = next(told.count) and tenant_of() or ''
  if tenant == '' then return end
  local key = A .. 'tenant_reputation:' .. tenant
  for name, n in pairs(told.count) do call('HINCRBY', key, hour .. ':' .. name, n) end
  call('EXPIRE', key, KEPT)
  call('ZADD', A .. 'counted_tenants', now(), tenant)
end

-- Counts an event, and lists and removes addresses, the first time that it comes. Returns whether it did.
local function count()
  if not call('SET', EVENT, 1, 'NX', 'EX', told.remember) then return false end
  local hour, list = math.floor(now() / 3600), A .. 'suppression'
  for name, n in pairs(told.count) do
    call('HINCRBY', A .. 'reputation', hour .. ':' .. name, n)
    for what, names in pairs(told.origins) do Origin.count(what, name, names) end
  end
  count_for_tenant(hour)
  for address, entry in pairs(told.suppress) do call('HSETNX', list, address, entry) end
  for _, address in ipairs(told.take_off) do
    local read_it, entry = pcall(cjson.decode, call('HGET', list, address) or '')
    if read_it and type(entry) == 'table' and entry.reason == 'complaint' then call('HDEL', list, address) end
  end
  return true
end

-- Changes the message's state if the rank of the event is higher than the rank before.
local function move(message)
  local was, left = message.state, RANKS[message.state] -- left is nil: it does not say that SES took it
  local rank_before, message_id, delayed =
    read(A .. 'message:' .. told.id, 'rank', 'message_id', 'delayed_because')
  local rank = left and (tonumber(rank_before) or left) or 0
  if told.rank <= rank then return end
  if was == 'queued' then Job.leave_queue(message.queue, told.id) end
  local own = (message_id or '') ~= '' and message_id or told.message_id
  local fields = {'message_id', own, 'rank', told.rank, 'attempts',
    math.max(1, tonumber(message.attempts) or 0)}
  if (delayed or '') ~= '' then
    fields[#fields + 1] = 'delayed_because'
    fields[#fields + 1] = ''
  end
  if told.prevented and message.batch then Batch.count_prevented(message.batch) end
  -- before it was delivered or bounced, it was sent
  if not left and told.to ~= 'sent' then Message.transition(message, 'sent', own, fields, {}) end
  Message.transition(message, told.to, told.reason, fields, {})
  if told.drop_content then call('DEL', A .. 'content:' .. told.id) end
end

-- Writes the note, once: the event may have been counted before the message had a record.
local function note(message)
  if told.note == '' or call('GET', EVENT) == 'noted' then return end
  call('SET', EVENT, 'noted', 'KEEPTTL')
  Message.set(message, 'history', Message.lengthen(message.history or '', message.state, told.note))
  if told.delayed ~= '' and message.state == 'sent' then
    Message.set(message, 'delayed_because', told.delayed)
  end
  Stream.tell_more(message, told.delayed ~= '' and 'delayed' or 'noted', told.note, told.message_id, '{}')
end

local function main()
  local is_news = count()
  if told.id == '' or not told.to then return '' end

  local message = Message.read(told.id)
  local was = message.state
  if is_news and told.passed_on then
    message.batch = message.batch or string.match(told.id, '^(.*)-%d+-%d+$')
    Stream.tell_more(message, told.passed_on.type, '', told.message_id, told.passed_on.detail)
  end
  Stream.set_kind(told.kind)
  if not was or message.packed then return '' end -- packed: the result of the row is not settled yet
  if not RQ_STATE[was] then return was end -- a state of another version of sesq
  move(message)
  note(message)
  return was
end
