-- Claims up to `want` messages that may go now: takes them from their lanes, under this worker's lease.
-- Of a chunk it grants as many rows as may go. The chunk stays at the head of its queue until all are
-- granted. In a lane the queues of tenants take turns (see shares.lua). After token_waiters.lua and
-- clear_head.lua; also
--   A suppression   hash   addresses that get no mail
--
-- ARGV[3] worker   [4] want (messages)   [5] lease (s)   [6] the claim's id   [7…] RQ queues of the
--     lanes, first lane first
-- Returns {reason, wait (s), {id, …}, {id not ours, …}, addresses on the suppression list, 1 if it waits
--          for tokens for bulk mail, else 0}
--   reason  why no more were granted: full (all that was wanted), empty, rate, day, paused (also if the
--           send window of bulk mail is closed), unsynced, ses_paused; tenant, tenant_day (waiting mail is of
--           tenants at their own rate, or day); more (more entries must be moved aside
--           than one claim may move)
--   wait    seconds until this worker should ask again. Each waiting worker is told another time, so that
--           they do not all ask at once

local LOOK_AGAIN = 60    -- s: the wait while only other senders fill the day
local SOON = 60          -- s: a longer wait of a tenant is for its day, not for its rate
local ROWS_A_TURN = 10   -- rows of a batch in one turn, if queues of tenants take turns
local RESTS_ASIDE = 20   -- a look at a tenant at its limits is as much work as so many messages
local AFTER_URGENT = 0.5 -- s: a tenant's bulk mail waits so much longer than its urgent mail

local queues, serves_urgent = {unpack(ARGV, 7)}, false
for _, queue in ipairs(queues) do serves_urgent = serves_urgent or not Job.is_bulk(queue) end
local waiters = A .. (serves_urgent and 'token_waiters' or 'token_waiters:bulk')
local worker, want, lease, claim_id = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local granted = {}
local reason, at = 'empty', nil -- at: when the missing tokens or room are there (s)
local yields, urgent_day = false, 0

local function wait_for(what, when)
  reason, at = what, when
  return false
end

-- For a worker that serves only bulk mail: notes whether another worker waits for a token for urgent mail,
-- and how many recipients of the day the first urgent message will take.
local function look_at_urgent(gate)
  local first = unpack(queues)
  local beside = string.gsub(first, '%.bulk$', '.transactional')
  local _, head = Share.first(beside)
  if not head then return end
  yields = Waiters.any_for_urgent()
  if call('SCARD', R .. 'workers:' .. beside) == 0 then return end
  local message = Message.read(head)
  local day = Gate.is_sendable(message) and tonumber(message.day) or 0
  if day <= gate.limits.daily then urgent_day = day end
end

local function lease_until(i) return now() + lease + i * 1e-6 end -- sorts them in their order

local function grant(gate, message, queue)
  local n, day = tonumber(message.rate), tonumber(message.day)
  Job.drop_head(queue)
  Gate.take(gate, n, lease, message.id)
  Gate.note_leaving(gate, queue)
  Share.charge(queue, n)
  if day > 0 then Ledger.count(gate.ledger, day) end
  local taken = {'claim_id', claim_id, 'worker', worker, 'claimed', now_as_text(), 'tokens_at', now_as_text(),
    'started_at', ''}
  Message.transition(message, 'sending', worker, taken, {claim_id = claim_id, worker = worker})
  Write.put(A .. 'leases', message.id, lease_until(#granted))
  granted[#granted + 1] = message.id
end

-- Grants the next m rows of a chunk. Each becomes a message that is being sent, without content.
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
  Gate.note_leaving(gate, chunk.queue)
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

-- Returns until when a limited tenant's bulk mail waits for urgent mail that needs the same tokens (s).
local function after_urgent(queue, tenant)
  local lane = Job.is_bulk(queue) and string.gsub(Job.lane_of(queue), 'bulk$', 'transactional')
  local till = lane and Share.is_resting(lane .. '.' .. tenant.name)
  return till and till + AFTER_URGENT
end

-- Whether mail of a tenant has to wait for the tenant's own limits. If so, its queue rests.
local function rests(gate, queue, n, day)
  local tenant = Tenant.of(queue)
  if not tenant then return false end
  local is_paused = tenant.is_paused and Job.is_bulk(queue) -- until somebody resumes, who ends the rest
  local till = is_paused and math.huge or after_urgent(queue, tenant) or Tenant.ready_at(tenant, n, day)
  if not till then return false end
  Head.count(RESTS_ASIDE)
  Share.rest(queue, till)
  if gate.waiting and gate.waiting.queue == queue then Gate.end_gathering(gate) end
  return true
end

-- Whether SES has stopped the tenant of a batch. Its rows then wait in their chunk, without records.
local function is_stopped(queue)
  local name = string.sub(queue, #Job.lane_of(queue) + 2)
  if name == '' or call('HEXISTS', A .. 'blocks', 'tenant:' .. name) == 0 then return false end
  Head.count(1)
  Share.rest(queue, math.huge)
  return true
end

-- Returns how many rows of a batch may go in one turn of its queue.
local function rows_in_turn(queue, day)
  local tenant = Tenant.of(queue)
  local most = Share.take_turns(Job.lane_of(queue)) and ROWS_A_TURN or math.huge
  return tenant and math.min(most, Tenant.room(tenant, day)) or most
end

-- Grants the rows that may go now from the chunk at the head. Returns true if the lane may be read again.
local function serve_chunk(gate, chunk, queue, kept)
  if Head.clear_chunk(chunk, queue) then return true end
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

-- Grants the message at the head if it may go now. Returns true if the lane may be read again.
local function serve_message(gate, message, queue, spare, kept)
  if Head.clear_message(gate, message, queue, spare) then return true end
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

-- Grants the entry at the head of a queue if it may go now. Returns true if the lane may be read again.
local function serve_head(gate, queue, id)
  local spare = Job.is_bulk(queue) and gate.limits.reserve or 0
  local message = Message.read(id)
  local chunk = not message.state and Chunk.read(id)
  if chunk then return serve_chunk(gate, chunk, queue, spare + urgent_day) end
  return serve_message(gate, message, queue, spare, spare + urgent_day)
end

-- Passes over an empty queue. Returns whether queues take turns in its lane.
local function pass_over(lane, queue)
  call('DEL', A .. 'stale:' .. queue)
  if not Share.take_turns(lane) then return false end
  Share.leave(lane, queue)
  Head.count(1)
  return true
end

-- Serves one lane. Returns true if the lanes after it may be served.
local function serve(gate, lane)
  Share.wake(lane)
  while #granted + #Head.unknown < want and Head.may_clear() do
    local queue = Share.next(lane)
    local id = call('LINDEX', R .. 'queue:' .. queue, 0)
    if not id then
      if not pass_over(lane, queue) then return true end
    elseif yields then return wait_for('rate', Gate.ready_at(gate, 1))
    elseif not serve_head(gate, queue, id) then return false end
  end
  reason = Head.may_clear() and 'full' or 'more'
  return false
end

-- Serves the mail for which tokens gather, before all other mail. Returns its queue while it has to wait:
-- then nothing else is granted.
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

-- Mail of tenants at their own limits may be able to go sooner than all other waiting mail: waits for that.
local function wait_for_tenants()
  local before, soonest = reason ~= 'empty' and at or math.huge, math.huge
  for _, lane in ipairs(queues) do soonest = math.min(soonest, Share.rests_until(lane) or soonest) end
  if soonest < before then
    wait_for(soonest - now() > SOON and 'tenant_day' or 'tenant', soonest)
  end
end

-- Serves the lanes. Returns the queue at which it stopped, or nil.
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

-- Returns when this worker should ask again for a token (s). No other worker is told this time.
local function next_token(gate, for_bulk)
  local soonest = now() + ((yields or #granted > 0) and QUANTUM or 0.001)
  local due = Waiters.next_token(gate, math.max(at, soonest), for_bulk)
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
  return {reason, wait, granted, Head.unknown, call('HLEN', A .. 'suppression'), for_bulk and 1 or 0}
end

local function main() return with_gate(claim) end
