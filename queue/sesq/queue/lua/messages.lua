-- Reads and changes messages. Only Message.transition() changes a state. After batches.lua and
-- chunks.lua.
--
-- Keys, A = "sesq:<account>:"
--   A message:<id>    hash    state, since (s), queue, rate and day (recipients), claim_id, history,
--                             keep (s that the record stays after its end), hold (what it waits for),
--                             unsure (1: it is sent again, although SES may have taken it before),
--                             tokens_at (s: when its tokens were taken; '' once they are accounted for),
--                             taken_over (the claim of the worker that reaped it, and the earlier claim
--                             whose worker seemed dead),
--                             sender, to, subject, … (the envelope: see envelope.py),
--                             packed (1: a row of a chunk that is being sent. It has no content, job or state
--                             set of its own, and only those of the fields above that its chunk does not
--                             have), …
--   A content:<id>    string  the body; stays no longer than the record
--   A state:<state>   zset    id -> time it entered the state (s)
--   A leases          zset    id -> time its worker's lease runs out (s)
--   A expiring        zset    id -> time after which it is not to be sent (s)
--   A hold:<what>     zset    id -> time it was queued (s)
--   A holds           hash    what -> why, in words
--   A counters        hash    <state> -> how often a message got it, ever; wait:<s> -> how many were
--                             sent within so many seconds of when they might go, and not within the next
--                             smaller number; wait:sum (s)
-- A message is a table of the fields of its record, and `id`; without a state if there is none.

local WAITING = {scheduled = true, queued = true, retrying = true, held = true}
local NOTHING_WENT = {refused = true, failed = true, suppressed = true, expired = true, cancelled = true}
local VERSIONS = {['1'] = true} -- of a record, which this sesq understands; those of envelope.py

local FIELDS_OF_ROW = {'packed', 'state', 'queue', 'day', 'claim_id', 'worker', 'claimed', 'tokens_at'}
local FIELDS = { -- those that most scripts need; a script reads any others itself
  'state', 'queue', 'rate', 'day', 'keep', 'batch', 'hold', 'unsure', 'history', 'v', 'claim_id', 'worker',
  'claimed', 'tokens_at', 'created', 'send_at', 'expires_at', 'checked', 'attempts',
}

-- Reads a row that is on its way; nil if the record is a message's. The record does not repeat what the chunk
-- has.
function Message.read_row(id)
  local row = read_fields(A .. 'message:' .. id, FIELDS_OF_ROW)
  if not row.packed then return nil end
  row.id, row.rate, row.batch = id, '1', string.match(id, '^(.*)-%d+-%d+$')
  row.queue = Job.own_queue(row.queue) -- a tenant's queue is in the record, else it is the lane's
  row.tokens_at = row.tokens_at or row.claimed -- only renewed tokens have a time of their own
  return row
end

function Message.read(id)
  local row = string.find(id, '-', 1, true) and Message.read_row(id)
  if row then return row end
  local message = read_fields(A .. 'message:' .. id, FIELDS)
  message.id, message.queue = id, Job.own_queue(message.queue)
  return message
end

-- Writes fields of a message, given as name, value, …, to its record and to the table.
function Message.set(message, ...)
  call('HSET', A .. 'message:' .. message.id, ...)
  local fields = {...}
  for i = 1, #fields, 2 do message[fields[i]] = fields[i + 1] end
end

-- Counts n messages that got a state, for metrics. For a sent one, also counts how long after `since` (s).
local WAITS = {0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200, 28800, 86400} -- s
function Message.count_states(to, n, since)
  Write.count(to, n)
  if not since then return end
  local waited, within = math.max(0, now() - since), 'inf'
  for i = #WAITS, 1, -1 do if waited <= WAITS[i] then within = WAITS[i] end end
  Write.count('wait:' .. within, 1)
  Write.count('wait:sum', waited)
end

-- Returns the state that a message really gets, and the reason. A message of a cancelled batch or chunk
-- is cancelled instead of waiting. A message that SES may have taken at an earlier attempt becomes unknown
-- instead of failed, refused, …; but if it is unknown already, the new state counts: somebody has judged it.
function Message.destined(message, to, reason)
  if message.batch and WAITING[to] then
    local state, why = read(A .. 'batch:' .. message.batch, 'state', 'reason')
    local name = string.match(message.id, '^(.*)-') or ''
    local chunk = state and call('HGET', A .. 'chunk:' .. name, 'cancelled')
    if state == 'cancelled' then to, reason = 'cancelled', why or ''
    elseif chunk then to, reason = 'cancelled', chunk end
  end
  if message.unsure == '1' and message.state ~= 'unknown' and NOTHING_WENT[to] then
    to, reason = 'unknown', reason .. '; SES may have taken an earlier try'
  end
  return to, reason
end

-- Removes a message from those that wait for its hold. Deletes the hold if no other message waits for it.
function Message.leave_hold(message)
  local what = message.hold or ''
  if what == '' then return end
  call('ZREM', A .. 'hold:' .. what, message.id)
  if call('EXISTS', A .. 'hold:' .. what) == 0 then call('HDEL', A .. 'holds', what) end
  Message.set(message, 'hold', '')
end

local LONGEST_HISTORY = 8000 -- bytes; then the older half goes
-- Returns a history with one more event, JSON of [now (s), state, reason].
function Message.lengthen(history, state, reason)
  local event = '[' .. now_as_text() .. ',"' .. state .. '",' .. cjson.encode(reason) .. ']'
  if #history > LONGEST_HISTORY then
    local cut = string.find(history, '\n', LONGEST_HISTORY / 2, true)
    history = cut and string.sub(history, cut + 1) or ''
  end
  return history ~= '' and history .. '\n' .. event or event
end

-- Moves a message to a state. `fields` are further {name, value, …} for its record; `reason` goes into the
-- history. opts as for Job.place(), and result: of a packed row, see Row.finish();
-- drop_content: the body is deleted.
-- Returns the state that it got; and true if no record of it is left: a row that was simply sent, or
-- given back.
function Message.transition(message, to, reason, fields, opts)
  local id = message.id
  if opts.result and message.packed then
    local reached = Row.finish(message, to, opts.result)
    if reached then return reached, true end
    Row.materialize(message, opts.result)
  end
  to, reason = Message.destined(message, to, reason)
  opts.claim_id, opts.from = opts.claim_id or message.claim_id, message.state
  Job.place(id, message.queue, to, message.keep, opts)
  local might_go = math.max(tonumber(message.created) or now(), tonumber(message.send_at) or 0)
  Message.count_states(to, 1, to == 'sent' and might_go or nil)
  local from = message.state
  if from then Write.take_out(A .. 'state:' .. from, id) end
  Message.leave_hold(message)
  Write.put(A .. 'state:' .. to, id, now_as_text())
  Message.set(message, 'state', to, 'since', now_as_text(), 'reason', reason,
              'history', Message.lengthen(message.history or '', to, reason), unpack(fields))
  if to ~= 'sending' then Write.take_out(A .. 'leases', id) end
  Stream.tell(message, from, to, reason, fields)
  if message.batch then Batch.adjust_counts(message.batch, from, to, 1) end
  if Job.has_ended(to) and message.expires_at then Write.take_out(A .. 'expiring', id) end
  Job.set_expiry(A .. 'message:' .. id, to, message.keep, from)
  if opts.drop_content then call('DEL', A .. 'content:' .. id)
  else Job.set_expiry(A .. 'content:' .. id, to, message.keep, from) end
  return to
end

-- Makes a message failed whose record is lost: it cannot be sent any more, and people see it there.
function Message.bury(id, why)
  for state in pairs(RQ_STATE) do call('ZREM', A .. 'state:' .. state, id) end
  local message = {id = id}
  Message.set(message, 'queue', Job.own_queue(call('HGET', R .. 'job:' .. id, 'origin')), 'created', now(),
    'keep', DAMAGE_KEPT)
  Message.transition(message, 'failed', why, {}, {})
end

-- Moves a message to `held`, among those that wait for `what`. `why` says it in words; `since` is when it was
-- queued (s).
function Message.hold_back(message, what, why, since, reason, fields, opts)
  local reached = Message.transition(message, 'held', reason, fields, opts)
  if reached == 'held' then
    Message.set(message, 'hold', what)
    call('ZADD', A .. 'hold:' .. what, tonumber(since) or now(), message.id)
    call('HSET', A .. 'holds', what, why)
  end
  return reached
end

-- Holds a message until its batch is resumed.
function Message.hold_with_its_batch(message, opts)
  local bid = message.batch
  local why = 'its batch is paused: ' .. (Batch.read(bid, 'reason') or 'its state in Redis is lost')
  Message.hold_back(message, 'batch:' .. bid, 'batch ' .. bid .. ' is paused', now(), why, {}, opts)
end

-- Returns the window of a row with a record, if the window is closed; else nil.
function Message.window_of(message)
  local chunk = message.batch and string.match(message.id, '^(.*)-%d+$')
  local window = chunk and call('HGET', A .. 'chunk:' .. chunk, 'window')
  return window and Window.opens_at(window) and window or nil
end

-- Schedules such a row for the time at which its window opens.
function Message.wait_for_window(message)
  local window = Message.window_of(message)
  local at = Window.opens_at(window)
  local fields = {'send_at', string.format('%.3f', at)}
  Message.transition(message, 'scheduled', OUTSIDE .. window, fields, {due = at})
end

-- The least and the most recipients of one message. SES takes no more.
local BOUNDS = {rate = {least = 1, most = 50}, day = {least = 0, most = 50}}
local NUMBERS = {'rate', 'day', 'expires_at', 'send_at'}

-- Returns what is wrong with a number of a record, in words, or nil.
function Message.fault_of(name, field)
  local number, bounds = tonumber(field), BOUNDS[name]
  if is_broken(field) or bounds and not number then return name .. ' is no number' end
  if bounds and (number < bounds.least or number > bounds.most) then
    return string.format('%s is not between %d and %d', name, bounds.least, bounds.most)
  end
end

-- Returns why this version cannot send a message: its hold, the reason of the hold, and its own reason.
-- Nothing if it can.
function Message.unreadable(message)
  for _, name in ipairs(NUMBERS) do
    local fault = Message.fault_of(name, message[name])
    if fault then
      return 'person', 'a person, since they are damaged in Redis',
        'its record in Redis is damaged: ' .. fault
    end
  end
  if message.v and not VERSIONS[message.v] then
    local why = 'it is of version ' .. message.v .. ', which this sesq cannot read'
    return 'version:' .. message.v, why .. '; it goes when a newer worker runs', why
  end
end

-- Decides about a message that this version cannot read, so that it does not block its lane. Returns true if
-- so: the caller then takes it out of the lane. opts as for Job.place().
--   its state is unknown here:     it stays as it is; a worker of that version puts it back (reconcile.py)
--   its version is unknown here:   if it waits, it is held until a worker knows the version
--   its record is damaged:         if it waits, it is held for a person
function Message.put_aside(message, opts)
  local key = A .. 'message:' .. message.id
  if not RQ_STATE[message.state] then
    Damage.note(key, 'its state is ' .. message.state .. ', which this version of sesq does not know')
    return true
  end
  local what, waited_for, why = Message.unreadable(message)
  if not what or message.state == 'sending' then return false end
  if WAITING[message.state] then
    if what == 'person' then Damage.note(key, why) end
    Message.hold_back(message, what, waited_for, now(), why, {}, opts)
  end
  return true
end

-- Shortens leases that end too late: they are from before the clock was set back, and now end within a
-- minute.
local LONGEST_LEASE = 120 -- s
function Message.shorten_leases(most)
  local longest = now() + LONGEST_LEASE
  for _, id in ipairs(call('ZRANGEBYSCORE', A .. 'leases', longest, '+inf', 'LIMIT', 0, most)) do
    call('ZADD', A .. 'leases', longest - LONGEST_LEASE / 2, id)
  end
end
