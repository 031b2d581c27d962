-- The gate: decides whether recipients may go now. After server.lua, rows.lua, bucket.lua,
-- limits.lua, ledger.lua.
--
-- Keys, A = "sesq:<account>:"
--   A gate      hash   our bucket: level (tokens; negative is debt), at (s: the time from which tokens flow);
--                      SES's bucket, at its lowest: ses_level (tokens) at ses_at (s), on_way
--                      (recipients granted and not answered), folds_at (s: they have reached SES by then,
--                      even without an answer), folded (s: grants before this time were charged without
--                      an answer), folded_before (s: the value of folded before that);
--                      gathers ("<until (s)> <recipients> <queue or -> <id>": the mail for which tokens
--                      gather once our bucket is full);
--                      minute (the ledger's newest), total (recipients in the ledger),
--                      slow (share of the rate withheld after a throttle), slow_at (s), claims, throttles
--                      (how often), born (s: when these books were opened), left:transactional and
--                      left:bulk (s: when mail was last granted of that lane)
--   A restored  hash   after a backup was restored: before (s: what was queued earlier may have been sent),
--                      at (s: when that was found), unexplained (recipients that SES counts and nobody here
--                      knows of; -1: the backup is too old to tell)
-- A token is a recipient. In Lua the gate is a table of
--   own, ses   the two buckets: see bucket.lua       ledger   see ledger.lua       limits   see limits.lua
--   snapshot   see limits.lua                        others   recipients of other senders in the last 24 h
--   slow, on_way, folds_at, folded, folded_before, gathers, born   as above
--   waiting    the mail for which tokens gather: id, n, queue ('-': it is in no queue), till (s)
--   gathers_again   s: until then tokens gather for no mail

local SLOW_HALF_LIFE = 60 -- s
-- in s: within this time a mail has reached SES, answered or not. If SES's burst is below 2: within its lease
local JITTER = 0.5

-- Returns an id of the gate's data. It is another one after the data was lost.
function Gate.name_of_books(gate) return Server.run_id() .. '@' .. gate.born end

-- A mail to several recipients that has to wait is noted. Once our bucket is full, tokens gather for it: no
-- other mail takes any until it has gone: while other mail is on its way, SES's bucket may not be full
-- enough for it. If it has not gone by `till`, other mail goes for a while.
local GATHERED = 1.5 -- s
function Gate.read_gathering(gate)
  local till, n, queue, id = string.match(gate.gathers, '^([%d.]+) (%d+) (%S+) (.*)$')
  till = tonumber(till)
  if till and now() < till and till < now() + 2 * LONGEST_LEASE then
    gate.waiting = {id = id, n = tonumber(n), queue = queue, till = till}
  elseif till and now() >= till and now() < till + GATHERED then gate.gathers_again = till + GATHERED
  else gate.gathers = '' end
end

-- Makes a bucket. A time in the future is from before the clock was set back, and counts as now.
function Gate.read_bucket(level, at, pace, burst)
  return {level = tonumber(level) or 0, at = math.min(tonumber(at) or now(), now()), pace = pace,
    burst = burst}
end

-- Charges all mail on its way to SES's bucket once `folds_at` is past. Before that, a mail is charged when
-- its answer comes, and mail on its way is subtracted from the free tokens. So the bucket never holds more
-- tokens than SES's own, however long a mail is on its way.
function Gate.fold(gate)
  if gate.folded > now() then gate.folded = now() - 1 end
  if gate.on_way > 0 and gate.folds_at <= now() then
    Bucket.draw(gate.ses, gate.on_way, gate.folds_at)
    gate.on_way, gate.folds_at, gate.folded, gate.folded_before = 0, gate.folds_at, gate.folds_at, gate.folded
  end
end

local FIELDS_OF_GATE = {
  'level', 'at', 'ses_level', 'ses_at', 'on_way', 'folds_at', 'folded', 'folded_before', 'gathers', 'minute',
  'total', 'slow', 'slow_at', 'born',
}

-- Notes if the data of the day is lost.
function Gate.check_books(fields, snapshot)
  if is_broken(fields.minute) or is_broken(fields.total) then
    Damage.note(A .. 'gate', 'minute or total is no number')
    Damage.lose_books()
  elseif not fields.born and snapshot.server then Damage.lose_books() end -- the key was deleted
end

-- Returns the share of the rate that is withheld now.
function Gate.slowness(fields)
  local seconds = math.abs(now() - (tonumber(fields.slow_at) or now())) -- abs: clocks are set back
  return (tonumber(fields.slow) or 0) * 0.5 ^ (seconds / SLOW_HALF_LIFE)
end

function Gate.open()
  local fields, snapshot = read_fields(A .. 'gate', FIELDS_OF_GATE), Limits.read_snapshot()
  Gate.check_books(fields, snapshot)
  local slow = Gate.slowness(fields)
  local limits = Limits.read(snapshot, slow)
  local gate = {
    limits = limits, snapshot = snapshot, slow = slow, others = tonumber(snapshot.others) or 0,
    own = Gate.read_bucket(fields.level, fields.at, limits.pace, limits.burst),
    ses = Gate.read_bucket(fields.ses_level, fields.ses_at, limits.ses_pace, limits.ses_burst),
    on_way = tonumber(fields.on_way) or 0,
    folds_at = math.min(tonumber(fields.folds_at) or now(), now() + LONGEST_LEASE),
    folded = tonumber(fields.folded) or 0, folded_before = tonumber(fields.folded_before) or 0,
    ledger = Ledger.open(tonumber(fields.minute), tonumber(fields.total)),
    gathers = fields.gathers or '', gathers_again = 0, left = {},
    born = fields.born or string.format('%.6f', now()),
  }
  Gate.fold(gate)
  Gate.read_gathering(gate)
  return gate
end

function Gate.close(gate)
  local own, ses, ledger = gate.own, gate.ses, gate.ledger
  Ledger.close(ledger)
  if Damage.books_lost then Ledger.count_anew(ledger) end
  call('HSET', A .. 'gate', 'level', own.level, 'at', string.format('%.6f', own.at), 'gathers', gate.gathers,
       'ses_level', ses.level, 'ses_at', ses.at, 'on_way', gate.on_way, 'folds_at', gate.folds_at,
       'folded', gate.folded, 'folded_before', gate.folded_before, 'minute', ledger.minute,
       'total', ledger.total, 'born', gate.born, unpack(gate.left))
end

-- Calls a function with the gate, and writes the gate back, however the function ends. Returns its answer.
local function with_gate(use)
  local gate = Gate.open()
  local done, answer = pcall(use, gate)
  local written, fault = pcall(Row.write_chunks)
  Tenant.close_all()
  Gate.close(gate)
  if not done then error(answer, 0) end
  if not written then error(fault, 0) end
  return answer
end

-- Notes that mail of a queue is granted now. It is written with the books, by the same command.
function Gate.note_leaving(gate, queue)
  local field = Job.is_bulk(queue) and 'left:bulk' or 'left:transactional'
  for _, each in ipairs(gate.left) do
    if each == field then return end
  end
  gate.left[#gate.left + 1] = field
  gate.left[#gate.left + 1] = now_as_text()
end

-- Why nothing may go at all, or nil.
function Gate.why_closed(gate)
  if gate.limits.paused ~= '' then return 'paused' end
  if not gate.snapshot.readable or gate.snapshot.server ~= Server.run_id() or Damage.books_lost
    then
    return 'unsynced'
  end
  if gate.snapshot.sending == '0' then return 'ses_paused' end
end

-- Returns until when bulk mail waits because it is paused (s: the next look), or because its send window
-- is closed (s: when that opens); nil if it may go.
function Gate.paused_until(gate)
  if gate.limits.bulk_paused ~= '' then return now() + 1 end
  return Window.opens_at(gate.limits.bulk_window)
end

-- Whether this is a bulk queue, and bulk mail waits for that.
function Gate.is_paused(gate, queue) return Job.is_bulk(queue) and Gate.paused_until(gate) ~= nil end

-- Whether a message in a lane may be sent, by its state. RQ's tools may have queued a message that was
-- sent already, or that is not due yet: that one may not.
local SENDABLE = {queued = true, scheduled = true, retrying = true, held = true, failed = true,
  refused = true}
function Gate.is_sendable(message)
  local is_early = message.state == 'scheduled' and (tonumber(message.send_at) or 0) > now()
  return SENDABLE[message.state or ''] and not is_early
end

-- the rate ------------------------------------------------------------------------------------

function Gate.gathering(gate)
  return Bucket.tokens(gate.own) >= gate.own.burst - 1e-6 and gate.waiting or nil
end
function Gate.end_gathering(gate) gate.waiting, gate.gathers = nil, '' end
function Gate.spare_tokens(gate) return Bucket.tokens(gate.ses) - gate.on_way end

-- Whether n recipients may go by the rate. has_some: the mail has unused tokens, so that it takes
-- none of those that gather.
function Gate.may_go(gate, n, id, has_some)
  local first = Gate.gathering(gate)
  return (not first or first.id == id or has_some) and Bucket.enough(gate.own, n)
         and Gate.spare_tokens(gate) >= math.min(n, gate.ses.burst) - 1e-6
end

-- Returns when n recipients may go (s) if no other mail takes a token, and all mail on its way is answered
-- now.
function Gate.ready_at(gate, n, id)
  local spare, first = Gate.spare_tokens(gate), Gate.gathering(gate)
  local function both(of)
    local by_ses = now() + (math.min(of, gate.ses.burst) - spare) / gate.ses.pace
    return math.max(Bucket.filled_at(gate.own, of), by_ses)
  end
  if not first or first.id == id then return both(n) end
  return math.min(first.till, math.max(both(n), both(first.n) + first.n / gate.own.pace))
end

function Gate.gather_for(gate, id, n, queue)
  if Gate.gathering(gate) or now() < gate.gathers_again or math.min(n, gate.ses.burst) <= 1 then return end
  local till = math.max(now(), Gate.ready_at(gate, n, id)) + GATHERED
  gate.waiting = {id = id, n = n, queue = queue, till = till}
  gate.gathers = string.format('%.6f %d %s %s', gate.waiting.till, n, queue, id)
end

function Gate.take(gate, n, lease, id)
  Bucket.draw(gate.own, n)
  gate.on_way = gate.on_way + n
  gate.folds_at = math.max(gate.folds_at, now() + (gate.ses.burst < 2 and lease or JITTER))
  if gate.waiting and gate.waiting.id == id then Gate.end_gathering(gate) end
end

-- Takes n recipients off those on their way: their tokens were taken at `at` (s), and nothing was sent. If
-- they were charged to SES's bucket without an answer, and that was the last change of the bucket, it is
-- undone.
function Gate.take_off_way(gate, n, at)
  if at >= gate.folded then gate.on_way = math.max(0, gate.on_way - n)
  elseif gate.ses.at == gate.folded and at >= gate.folded_before then gate.ses.level = gate.ses.level + n end
end

-- Accounts for the tokens that were taken at `at` (s; nil: there are none). SES has answered for `went` of
-- them, and `unused` of them are refunded.
function Gate.account(gate, at, went, unused)
  if not at then return end
  if unused > 0 then
    Bucket.refund(gate.own, unused)
    Gate.take_off_way(gate, unused, at)
  end
  if went > 0 and at >= gate.folded then
    gate.on_way = math.max(0, gate.on_way - went)
    Bucket.draw(gate.ses, went)
  end
end

-- the day -------------------------------------------------------------------------------------

-- Returns how many more recipients fit into the day for a lane that must leave `spare`.
function Gate.room_in_day(gate, spare) return gate.limits.daily - gate.ledger.total - gate.others - spare end

-- Returns when n more fit (s); nil if that depends on other senders only.
function Gate.room_at(gate, n, spare)
  local limits, short = gate.limits, n - Gate.room_in_day(gate, spare)
  local freed_at = Ledger.freed_at(gate.ledger, short)
  if short <= 0 or limits.grows_at == math.huge then return freed_at end
  local then_short = short - (spare > 0 and limits.bulk_grows_by or limits.grows_by)
  local then_at = Ledger.freed_at(gate.ledger, then_short)
  then_at = then_at and math.max(then_at, limits.grows_at)
  return freed_at and then_at and math.min(freed_at, then_at) or freed_at or then_at
end

-- messages that would block their lane -----------------------------------------------------------

-- Holds a message for more recipients than a whole day has room for: it would wait forever. Each account
-- sync frees it if it fits by then.
function Gate.hold_as_too_large(message, room)
  local why = string.format('it is for %d recipients, and a whole day has room for %d', message.day, room)
  local all = 'messages for more recipients than a whole day has room for'
  Message.hold_back(message, 'day', all, now(), why, {}, {})
end

-- Whether a message was queued before a backup of Redis was restored: it may have been sent since the backup
-- was made. It is held until an event of SES or a person settles it; `checked` is when a person did so (s).
local restored -- when it was made (s); false if none was restored
function Gate.may_have_gone(message)
  if restored == nil then restored = tonumber(call('HGET', A .. 'restored', 'before')) or false end
  return restored and (tonumber(message.created) or 0) < restored
         and (tonumber(message.checked) or 0) < restored
end
function Gate.hold_after_restore(message)
  local since = 'may have been sent since that was made'
  local all = 'messages of before a restored backup, which ' .. since
  local why = 'it was queued before a backup of Redis was restored, and ' .. since
  Message.hold_back(message, 'restore', all, message.created, why, {}, {})
end
