-- Reads the limits and what is used of them, for people. After gate.lua. Writes back only what
-- time has changed in the gate's data, and answers even if that fails, as on a Redis that is full.
--
-- ARGV[3…] RQ queues of the lanes, first lane first
-- Returns JSON: limits in force, what is used, when the head of each lane may go (or one recipient, if the
-- lane is empty).

local MOST_FLYING, MOST_QUEUES = 2000, 2000 -- more are not counted

local function number(n) if n < math.huge then return n end end

-- Counts recipients in the ledger that may not have reached SES yet.
local function recipients_flying()
  local flying = 0
  for _, id in ipairs(call('ZRANGE', A .. 'leases', 0, MOST_FLYING - 1)) do
    flying = flying + (tonumber(call('HGET', A .. 'message:' .. id, 'day')) or 0)
  end
  return flying
end

-- Counts the jobs that wait in a lane, with those of tenants.
local function count_queued(lane)
  local n = 0
  for _, queue in ipairs(Share.queues_of(lane, MOST_QUEUES)) do n = n + Job.length_of(queue) end
  return n
end

local function look_at_lane(gate, lane)
  local spare = Job.is_bulk(lane) and gate.limits.reserve or 0
  local head = call('LINDEX', R .. 'queue:' .. (Share.next(lane) or lane), 0) or nil
  local message = head and Message.read(head) or {}
  return {
    queued = count_queued(lane), paused = Job.is_bulk(lane) and gate.limits.bulk_paused ~= '', head = head,
    room_at = Gate.room_at(gate, tonumber(message.day) or 1, spare),
    ready_at = math.max(now(), Gate.ready_at(gate, tonumber(message.rate) or 1, head)),
  }
end

local function main()
  local gate = Gate.open()
  pcall(Gate.close, gate)
  local limits, total, lanes = gate.limits, gate.ledger.total, {}
  for _, queue in ipairs({unpack(ARGV, 3)}) do lanes[#lanes + 1] = look_at_lane(gate, queue) end
  return cjson.encode({
    now = now(), books = Gate.name_of_books(gate), lanes = lanes,
    closed = call('EXISTS', R .. 'suspended') == 1 and 'suspended' or Gate.why_closed(gate),
    rate = limits.rate, daily = number(limits.daily), ceiling = number(limits.ceiling),
    burst = limits.burst, pace = limits.pace, margin = limits.margin, ramp = Ramp.tell(limits.ramp),
    reserve_as_set = limits.reserve_as_set, reserve = limits.reserve, slow = gate.slow,
    tokens = Bucket.tokens(gate.own), total = total,
    flying = recipients_flying(),
    others = gate.others, remaining = number(math.max(0, Gate.room_in_day(gate, 0))),
    claims = tonumber(call('HGET', A .. 'gate', 'claims')) or 0,
    throttles = tonumber(call('HGET', A .. 'gate', 'throttles')) or 0,
  })
end
