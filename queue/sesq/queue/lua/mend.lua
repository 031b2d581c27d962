-- Makes all keys of a message agree with its record: state set, lease, hold, RQ job,
-- expiry, batch. For the auditor; after mending.lua.
--
-- ARGV[3] id   [4] how often it is in its own lane
--     [5] JSON [[queue, entry], …]: its entries in RQ's registries of running jobs
--     [6] JSON [queue, …]: lanes in which it should not be
--     [7] RQ's job as JSON [name, value, …], if it has none
-- Returns what was done, in words; nothing if all agrees.

local A_MINUTE = 60 -- s
local id, in_lane, new_job = ARGV[3], ARGV[4] ~= '0', ARGV[7]
local runs, lanes = cjson.decode(ARGV[5]), cjson.decode(ARGV[6])
local message, key, job = Message.read(id), A .. 'message:' .. id, R .. 'job:' .. id
local state, queue, since, reason = message.state, message.queue, read(key, 'since', 'reason')
since = since or now()
local keep, ended = tonumber(message.keep) or 3600, Job.has_ended(state)
local entry = id .. ':' .. (message.claim_id or '')

local function mend_state()
  for other in pairs(RQ_STATE) do
    local is_wrong = other ~= state and call('ZREM', A .. 'state:' .. other, id) == 1
    if is_wrong then Mend.say('taken out of %s', other) end
  end
  if not call('ZSCORE', A .. 'state:' .. state, id) then
    call('ZADD', A .. 'state:' .. state, since, id)
    Mend.say('put among those that are %s', state)
  end
end

-- Gives a message in `sending` a lease of a minute. A worker that is still sending it renews the lease; if
-- there is none, the message is reaped.
local function mend_lease()
  if state ~= 'sending' then
    if call('ZREM', A .. 'leases', id) == 1 then Mend.say('its lease is ended') end
  elseif call('ZADD', A .. 'leases', 'NX', now() + A_MINUTE, id) == 1 then
    Mend.say('given a lease of a minute')
  end
end

local function mend_hold()
  local hold = message.hold or ''
  if hold == '' then return end
  if state ~= 'held' then
    Message.leave_hold(message)
    return Mend.say('it waits for %s no longer', hold)
  end
  if call('ZADD', A .. 'hold:' .. hold, 'NX', message.created or since, id) == 1 then
    Mend.say('put among those that wait for %s', hold)
  end
  if call('HSETNX', A .. 'holds', hold, reason or '') == 1 then
    Mend.say('the reason of %s is written again', hold)
  end
end

local function mend_job()
  if call('EXISTS', job) == 0 and not ended then
    call('HSET', job, unpack(cjson.decode(new_job)))
    Mend.say('given an RQ job')
  end
  Mend.drop_runs(runs, function (run) return run == entry and state == 'sending' end)
  Mend.leave_lanes(id, lanes)
  if Mend.is_shown_as(id, queue, state, entry) and (in_lane or RQ_STATE[state] ~= 'queue') then return end
  local due = state == 'scheduled' and tonumber(message.send_at)
    or call('ZSCORE', R .. 'scheduled:' .. Job.lane_of(queue), id) or now()
  Mend.show_as(id, queue, state, keep, in_lane, {due = due, claim_id = message.claim_id})
end

local function mend_expiry()
  for _, kept in ipairs({key, A .. 'content:' .. id, job}) do
    local ttl = call('TTL', kept)
    if ended and ttl == -1 then
      call('EXPIRE', kept, keep)
      Mend.say('%s expires', kept)
    elseif not ended and ttl >= 0 then
      call('PERSIST', kept)
      Mend.say('%s expires no more', kept)
    end
  end
  local expires = WAITING[state] and tonumber(message.expires_at)
  if expires and expires > now() and call('ZADD', A .. 'expiring', 'NX', expires, id) == 1 then
    Mend.say('its end is looked for')
  end
end

local function mend_batch()
  local bid = message.batch
  if not bid or call('EXISTS', A .. 'batch:' .. bid) == 0 then return end
  if call('SADD', A .. 'materialized:' .. bid, id) == 1 then
    Mend.say('its batch knows of its record')
  end
end

local function main()
  if not RQ_STATE[state or ''] then return did end
  if message.packed then mend_lease() -- a row on its way has no more than its record and its lease
  else
    mend_state()
    mend_lease()
    mend_hold()
    mend_job()
    mend_expiry()
    mend_batch()
  end
  if #did > 0 and state == 'queued' then Job.wake(queue) end
  return did
end
