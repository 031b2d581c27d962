-- Claim: up to `want` messages that may go now, already taken from their lanes and under this worker's lease.
-- Of a chunk of a batch, as many recipients as may go: it stays at the head of its queue until all are
-- granted. In a lane the queues of tenants take turns (see shares.lua). After gate.lua, whose keys it uses,
-- and
--   A suppression          hash   who gets no mail
--   A token_waiters        zset   worker -> when the token that it was told of is due (s)
--   A token_waiters:bulk   zset   the same, of workers that serve no urgent mail: where others wait for a
--                                 token for that, these yield
--
-- ARGV[3] worker   [4] want (messages)   [5] lease (s)   [6] the claim's id   [7…] RQ queues of the
--     lanes, first lane first
-- Returns {reason, wait (s), {id, …}, {id not ours, …}, addresses on the suppression list, 1 where it waits
--          for tokens for bulk mail, else 0}
--   reason  why no more were granted: full (all that was wanted), empty, rate, day, paused (also where the
--           send window of bulk mail is closed), unsynced, ses_paused; tenant, tenant_day (what waits is of
--           tenants that have reached their own rate, or day); more (there is more to move out of the way
--           than one claim may)
--   wait    seconds until this worker should ask again; each waiting worker is told of another token, so that
--           they do not all ask at once

-- s: the least time between two claims while tokens are short; the wait while only other senders fill the day
local QUANTUM, LOOK_AGAIN = 0.04, 60
local SAME = 0.01 -- s: times so close are of one token
-- s: a worker that is so late for its token may be dead; a token that is further off than FAR does not count
local OVERDUE, FAR = 1, 60
local SOON = 60 -- s: for a tenant's token one waits; what takes longer is for its day
local MOST_ASIDE = 100 -- messages moved out of the way: 1 to 5 ms of work
local ROWS_ASIDE = 10  -- so many rows of a cancelled chunk are as much work as a message
local ROWS_A_TURN = 10 -- of a batch, where queues of tenants take turns
local ASIDE_A_TURN = 0.1 -- recipients, as which a message counts there that is moved out of the way
local RESTS_ASIDE = 20 -- so many messages are as much work as a look at a tenant that has reached its limits
local AFTER_URGENT = 0.5 -- s: a tenant's bulk mail waits so much longer than urgent mail of it

local queues, serves_urgent = {unpack(ARGV, 7)}, false
for _, queue in ipairs(queues) do serves_urgent = serves_urgent or not Job.is_bulk(queue) end
local waiters = A .. (serves_urgent and 'token_waiters' or 'token_waiters:bulk')
local worker, want, lease, claim_id = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local granted, unknown, aside = {}, {}, 0 -- aside: how many were moved out of the way
local reason, at = 'empty', nil           -- at: when what is short is there (s)
local yields, urgent_day = false, 0

local function wait_for(what, when)
  reason, at = what, when
  return false
end

-- For a worker that serves bulk mail alone: notes whether another worker waits for a token for urgent mail,
-- and how many recipients of the day the first urgent message will take.
local function look_at_urgent(gate)
  local first = unpack(queues)
  local beside = string.gsub(first, '%.bulk$', '.transactional')
  local _, head = Share.first(beside)
  if not head then return end
  yields = call('ZCOUNT', A .. 'token_waiters', now() - OVERDUE, now() + FAR) > 0
  if call('SCARD', R .. 'workers:' .. beside) == 0 then return end
  local message = Message.read(head)
  local day = Gate.is_sendable(message) and tonumber(message.day) or 0
  if day <= gate.limits.daily then urgent_day = day end
end

-- Beside queues of others it is a part of a turn.
local function move_aside(queue)
  Job.drop_head(queue)
  Share.charge(queue, ASIDE_A_TURN)
  aside = aside + 1
end

-- Takes out what stands in a queue and may not be sent, and puts it where its state belongs.
local function set_aside(message, queue)
  local stale = call('SISMEMBER', A .. 'stale:' .. queue, message.id) == 1
  move_aside(queue)
  if stale then return end
  if not message.state then unknown[#unknown + 1] = message.id
  elseif Gate.is_sendable(message) then
    Message.transition(message, 'expired', 'its time ran out before it could go', {}, {})
  elseif message.state ~= 'sending' then
    Job.place(message.id, message.queue, message.state, message.keep,
      {due = tonumber(message.send_at) or now()})
  end
end

-- A recipient of a batch that has a record of its own stops with its batch.
local function stop_with_its_batch(message)
  if Batch.stopped(message.batch) == 'cancelled' then
    Message.transition(message, 'cancelled', Batch.read(message.batch, 'reason') or '', {}, {})
  else Message.hold_with_its_batch(message, {}) end
end

local function lease_until(i) return now() + lease + i * 1e-6 end -- in their order

local function grant(gate, message, queue)
  local n, day = tonumber(message.rate), tonumber(message.day)
  Job.drop_head(queue)
  Gate.take(gate, n, lease, message.id)
  Share.charge(queue, n)
  if day > 0 then Ledger.count(gate.ledger, day) end
  local taken = {'claim_id', claim_id, 'worker', worker, 'claimed', now_as_text(), 'tokens_at', now_as_text(),
    'started_at', ''}
  Message.transition(message, 'sending', worker, taken, {claim_id = claim_id, worker = worker})
  Write.put(A .. 'leases', message.id, lease_until(#granted))
  granted[#granted + 1] = message.id
end

-- The first m rows of a chunk that go next: each is a message that is being sent, but for its content.
local function grant_rows(gate, chunk, m)
  local start, _, _, day = Chunk.next_rows(chunk)
  local leases, ids = {}, {}
  local record = {
    'packed', '1', 'state', 'sending', 'day', tostring(day), 'claim_id', claim_id, 'worker', worker,
    'claimed', now_as_text(),
  }
  if chunk.queue ~= Job.lane_of(chunk.queue) then
    record[#record + 1] = 'queue'
    record[#record + 1] = chunk.queue
  end
  Gate.take(gate, m, lease)
  Share.charge(chunk.queue, m)
  if day > 0 then Ledger.count(gate.ledger, m) end
  for i = 1, m do
    ids[i] = chunk.id .. '-' .. (start + i - 1)
    leases[2 * i - 1], leases[2 * i] = lease_until(#granted), ids[i]
    granted[#granted + 1] = ids[i]
  end
  call('ZADD', A .. 'leases', unpack(leases))
  for _, id in ipairs(ids) do
    call('HSET', A .. 'message:' .. id, unpack(record))
    Stream.tell({id = id, queue = chunk.queue, batch = chunk.batch}, 'queued', 'sending', worker, {})
  end
  Chunk.pass_rows(chunk, m)
  Batch.adjust_counts(chunk.batch, 'waiting', 'leaving', m)
  Chunk.sync_job(chunk, worker)
end

-- A chunk that does not belong at the head goes where it does.
local function is_misplaced(chunk, queue)
  if chunk.queue == queue and chunk.place == 'queued' then
    local may_go = chunk.state == 'running' and not Window.opens_at(chunk.window)
    if may_go and Chunk.has_rows(chunk) then return false end
    aside = aside + 1 + Chunk.sync_job(chunk) / ROWS_ASIDE
    return true
  end
  move_aside(queue)
  if chunk.queue == queue or chunk.place ~= 'queued' then
    Chunk.show(chunk, chunk.place, {})
  end
  return true
end

-- Until when bulk mail of a limited tenant waits, because urgent mail of it waits for the same tokens (s).
local function after_urgent(queue, tenant)
  local lane = Job.is_bulk(queue) and string.gsub(Job.lane_of(queue), 'bulk$', 'transactional')
  local till = lane and Share.is_resting(lane .. '.' .. tenant.name)
  return till and till + AFTER_URGENT
end

-- Whether mail of a tenant has to wait for its tenant's own limits: then its queue rests.
local function rests(gate, queue, n, day)
  local tenant = Tenant.of(queue)
  if not tenant then return false end
  local is_paused = tenant.is_paused and Job.is_bulk(queue) -- until somebody resumes, who ends the rest
  local till = is_paused and math.huge or after_urgent(queue, tenant) or Tenant.ready_at(tenant, n, day)
  if not till then return false end
  aside = aside + RESTS_ASIDE
  Share.rest(queue, till)
  if gate.waiting and gate.waiting.queue == queue then Gate.end_gathering(gate) end
  return true
end

-- Whether SES has stopped the tenant of a batch: its rows wait in their chunk, or each would become a record.
local function is_stopped(queue)
  local name = string.sub(queue, #Job.lane_of(queue) + 2)
  if name == '' or call('HEXISTS', A .. 'blocks', 'tenant:' .. name) == 0 then return false end
  aside = aside + 1
  Share.rest(queue, math.huge)
  return true
end

-- So many rows of a tenant's batch may go in its turn.
local function rows_in_turn(queue, day)
  local tenant = Tenant.of(queue)
  local most = Share.take_turns(Job.lane_of(queue)) and ROWS_A_TURN or math.huge
  return tenant and math.min(most, Tenant.room(tenant, day)) or most
end

-- Grants what may go now of the chunk at the head; true when the lane may be looked at once more.
local function serve_chunk(gate, chunk, queue, kept)
  if is_misplaced(chunk, queue) then return true end
  local start, stop, _, day = Chunk.next_rows(chunk)
  local room = day > 0 and math.floor(Gate.room_in_day(gate, kept)) or math.huge
  local least = math.min(Bucket.tokens(gate.own), Gate.spare_tokens(gate))
  local flow = Gate.gathering(gate) and 0 or math.floor(least + 1e-6)
  if is_stopped(queue) or rests(gate, queue, 1, day) then return true end
  local m = math.min(want - #granted, stop - start, flow, room, rows_in_turn(queue, day))
  if room < 1 then return wait_for('day', Gate.room_at(gate, 1, kept) or now() + LOOK_AGAIN) end
  if m < 1 then return wait_for('rate', Gate.ready_at(gate, 1)) end
  grant_rows(gate, chunk, m)
  if Tenant.of(queue) then Tenant.take(Tenant.of(queue), m, day * m) end
  return true
end

-- Takes the message at the head out of its lane if it may not be sent. Returns whether it did.
local function clear_away(gate, message, queue, spare)
  local expires = tonumber(message.expires_at)
  if message.state and Message.put_aside(message, {}) then move_aside(queue)
  elseif not Gate.is_sendable(message) or (expires and expires <= now())
      or (message.state ~= 'queued' and call('SISMEMBER', A .. 'stale:' .. queue, message.id) == 1) then
    set_aside(message, queue)
  elseif Gate.may_have_gone(message) then
    move_aside(queue)
    Gate.hold_after_restore(message)
  elseif Batch.stopped(message.batch) then
    move_aside(queue)
    stop_with_its_batch(message)
  elseif Message.window_of(message) then
    move_aside(queue)
    Message.wait_for_window(message)
  elseif tonumber(message.day) > math.max(1, gate.limits.daily - spare) then
    move_aside(queue)
    Gate.hold_as_too_large(message, gate.limits.daily - spare)
  elseif message.queue ~= queue and Job.lane_of(message.queue) == queue then
    move_aside(queue) -- a tenant's, which RQ's tools know as the lane's
    Job.enter_queue(message.queue, message.id, true)
  else return false end
  return true
end

-- Grants the message at the head if it may go now; true when the lane may be looked at once more.
local function serve_message(gate, message, queue, spare, kept)
  if clear_away(gate, message, queue, spare) then return true end
  local n, day = tonumber(message.rate), tonumber(message.day)
  if rests(gate, queue, n, day) then return true end
  if day > 0 and day > Gate.room_in_day(gate, kept) then
    return wait_for('day', Gate.room_at(gate, day, kept) or now() + LOOK_AGAIN)
  end
  if not Gate.may_go(gate, n, message.id) then
    Gate.gather_for(gate, message.id, n, queue)
    return wait_for('rate', Gate.ready_at(gate, n, message.id))
  end
  grant(gate, message, queue)
  if Tenant.of(queue) then Tenant.take(Tenant.of(queue), n, day) end
  return true
end

-- Grants what stands at the head of a queue if it may go now; true when the lane may be looked at once more.
local function serve_head(gate, queue, id)
  local spare = Job.is_bulk(queue) and gate.limits.reserve or 0
  local message = Message.read(id)
  local chunk = not message.state and Chunk.read(id)
  if chunk then return serve_chunk(gate, chunk, queue, spare + urgent_day) end
  return serve_message(gate, message, queue, spare, spare + urgent_day)
end

-- Nothing stands in a queue, whoever has emptied it. Returns whether others of its lane take turns.
local function pass_over(lane, queue)
  call('DEL', A .. 'stale:' .. queue)
  if not Share.take_turns(lane) then return false end
  Share.leave(lane, queue)
  aside = aside + 1
  return true
end

-- Works through one lane; true when the lanes after it may be looked at.
local function serve(gate, lane)
  Share.wake(lane)
  while #granted + #unknown < want and aside < MOST_ASIDE do
    local queue = Share.next(lane)
    local id = call('LINDEX', R .. 'queue:' .. queue, 0)
    if not id then
      if not pass_over(lane, queue) then return true end
    elseif yields then return wait_for('rate', Gate.ready_at(gate, 1))
    elseif not serve_head(gate, queue, id) then return false end
  end
  reason = aside < MOST_ASIDE and 'full' or 'more'
  return false
end

-- Serves the mail for which tokens gather before all other mail. Returns its queue while it has to wait: then
-- nothing else is granted.
local function serve_the_gathering(gate)
  local queue, id, mine = gate.waiting.queue, gate.waiting.id, false
  for _, lane in ipairs(queues) do mine = mine or lane == Job.lane_of(queue) end
  local is_first = mine and call('LINDEX', R .. 'queue:' .. queue, 0) == id
  if is_first and not Gate.is_paused(gate, queue) then serve_head(gate, queue, id) end
  if not gate.waiting then return nil end
  local head = queue ~= '-' and not Gate.is_paused(gate, queue) and call('LINDEX', R .. 'queue:' .. queue, 0)
  if (queue == '-' or head == id and Gate.is_sendable(Message.read(id))) and reason ~= 'day' then
    if not mine then wait_for('rate', math.max(Gate.ready_at(gate, 1), now() + QUANTUM)) end
    return queue
  end
  Gate.end_gathering(gate)
  reason = 'empty'
end

-- Mail of tenants that have reached their own limits waits, and may go before all else does.
local function wait_for_tenants()
  local before, soonest = reason ~= 'empty' and at or math.huge, math.huge
  for _, lane in ipairs(queues) do soonest = math.min(soonest, Share.rests_until(lane) or soonest) end
  if soonest < before then
    wait_for(soonest - now() > SOON and 'tenant_day' or 'tenant', soonest)
  end
end

-- Works through the lanes; the queue at which it stopped, or nil.
local function serve_all(gate)
  local stopped_at = Gate.gathering(gate) and serve_the_gathering(gate)
  if stopped_at then return stopped_at end
  for _, queue in ipairs(queues) do
    if Gate.is_paused(gate, queue) then
      if reason == 'empty' and Share.is_waiting(queue) then wait_for('paused', Gate.paused_until(gate)) end
    elseif not serve(gate, queue) then
      if reason == 'day' then wait_for_tenants() end
      return queue
    end
  end
  wait_for_tenants()
end

-- When the next token comes that no other worker was told of (s). A worker that waits for a token for urgent
-- mail ignores the tokens that were told to workers that serve bulk mail alone.
local function next_token(gate, for_bulk)
  local step = math.max(1 / gate.own.pace, QUANTUM)
  local due = math.max(at, now() + ((yields or #granted > 0) and QUANTUM or 0.001))
  local told = {}
  for _, name in ipairs(for_bulk and {'token_waiters', 'token_waiters:bulk'} or {'token_waiters'}) do
    call('ZREMRANGEBYSCORE', A .. name, '-inf', now() - OVERDUE)
    local those = call('ZRANGEBYSCORE', A .. name, now(), '+inf', 'WITHSCORES')
    for i = 2, #those, 2 do told[#told + 1] = tonumber(those[i]) end
  end
  table.sort(told)
  for _, theirs in ipairs(told) do
    if theirs - due > math.min(step / 2, SAME) then break end
    due = math.max(due, theirs + step)
  end
  call('ZADD', waiters, due, worker)
  return due
end

local WAITS = {day = true, rate = true, tenant = true, tenant_day = true}
local function wait_seconds(gate, for_bulk)
  if reason == 'paused' then return math.min(at, gate.limits.changes_at, now() + LOOK_AGAIN) - now() end
  if not WAITS[reason] then return 0 end
  return math.min(reason == 'rate' and next_token(gate, for_bulk) or at, gate.limits.changes_at) - now()
end

local function claim(gate)
  call('ZREM', waiters, worker)
  local why = Gate.why_closed(gate)
  if why then return {why, '1', {}, {}, 0, 0} end
  if not serves_urgent then look_at_urgent(gate) end
  local stopped_at = serve_all(gate)
  local for_bulk = reason == 'rate' and Job.is_bulk(stopped_at)
  call('HINCRBY', A .. 'gate', 'claims', 1)
  local wait = string.format('%.6f', wait_seconds(gate, for_bulk))
  return {reason, wait, granted, unknown, call('HLEN', A .. 'suppression'), for_bulk and 1 or 0}
end

local function main() return with_gate(claim) end
