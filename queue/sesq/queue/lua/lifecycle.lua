-- How a message changes its state. Put before every script that changes one, so that there is one way to do it.
-- After values.lua, clock.lua and damage.lua.
--
-- ARGV[1]  account            ARGV[2]  RQ's key prefix ("rq")
-- Keys, A = "sesq:<account>:"
--   A message:<id>             hash    state, since (s), queue, rate and day (recipients), claim_id, history,
--                                      keep (s that the record stays once all is over), hold (what it waits for),
--                                      unsure (1: it is sent again, though SES may have taken an earlier try),
--                                      tokens_at (s: when its tokens were taken; '' once they are accounted for),
--                                      packed (1: a row of a chunk that is being sent, and has no content, job or state set of its own), …
--   A content:<id>             string  the body; stays no longer than the record
--   A state:<state>            zset    id -> time it entered the state (s)
--   A leases                   zset    id -> time its worker's lease runs out (s)
--   A expiring                 zset    id -> time after which it is not to be sent (s)
--   A hold:<what>              zset    id -> time it was queued (s)
--   A holds                    hash    what -> why, in words
--   A counters                 hash    <state> -> how often a message came into it, ever; wait:<s> -> how many were sent within so
--                                      many seconds and no fewer of when they might go; wait:sum (s)
-- RQ's own keys, R = "<prefix>:"
--   R queue:<name>             list    ids, the next to go first
--   A stale:<name>             set     ids that stand in that queue although their message, or chunk, waits there no longer
--   R job:<id>                 hash    status, …
--   R wip|deferred|scheduled|finished|failed|canceled:<name>   zset
-- All times are seconds since the epoch by Redis's clock.

local A, R = 'sesq:' .. ARGV[1] .. ':', ARGV[2] .. ':'

-- state -> {RQ's registry, RQ's job status}
local PLACE = {
  scheduled = {'scheduled', 'scheduled'}, retrying = {'scheduled', 'scheduled'},
  queued = {'queue', 'queued'}, sending = {'wip', 'started'},
  held = {'deferred', 'deferred'}, unknown = {'deferred', 'deferred'},
  sent = {'finished', 'finished'}, delivered = {'finished', 'finished'},
  bounced = {'finished', 'finished'}, complained = {'finished', 'finished'},
  refused = {'failed', 'failed'}, failed = {'failed', 'failed'}, suppressed = {'failed', 'failed'},
  expired = {'failed', 'failed'}, cancelled = {'canceled', 'canceled'},
}
local REGISTRIES = {'deferred', 'scheduled', 'finished', 'failed', 'canceled'}
local ENDED = {finished = true, failed = true, canceled = true}

-- The versions of a record that this sesq understands; those of envelope.py.
local VERSIONS = {['1'] = true}

-- Numbers of a record that may be damaged, each with what it is then.
local LONGEST_KEPT = 1e9 -- s; EXPIRE refuses what is far more
local function seconds_kept(keep) return math.min(LONGEST_KEPT, math.max(1, math.floor(tonumber(keep) or 3600))) end
-- A lane of this account: what a damaged record names instead is the bulk lane.
local function lane_of(queue)
  local ours = 'sesq.' .. ARGV[1] .. '.'
  return string.sub(queue or '', 1, #ours) == ours and queue or ours .. 'bulk'
end

-- A queue is never searched, however long it is: what is to leave it from the middle is marked as stale, and whoever meets it at
-- the head drops it. One that comes back before that takes its old place.
local function leave_queue(queue, id)
  local list = R .. 'queue:' .. queue
  if call('LINDEX', list, 0) == id then call('LPOP', list)
  elseif call('LINDEX', list, -1) == id then call('RPOP', list)
  elseif call('HGET', R .. 'job:' .. id, 'status') == 'queued' then -- else RQ has taken it out already
    call('SADD', A .. 'stale:' .. queue, id)
  end
end
local function enter_queue(queue, id, front)
  if call('SREM', A .. 'stale:' .. queue, id) == 0 then call(front and 'LPUSH' or 'RPUSH', R .. 'queue:' .. queue, id) end
end
local function drop_head(queue)
  local id = call('LPOP', R .. 'queue:' .. queue)
  if id then call('SREM', A .. 'stale:' .. queue, id) end
end
-- How many jobs wait in a queue.
local function length_of(queue) return math.max(0, call('LLEN', R .. 'queue:' .. queue) - call('SCARD', A .. 'stale:' .. queue)) end

-- Puts a job where RQ's tools expect it for the state its message is in. opts: due (s), front, claim_id, worker.
local function place(id, queue, state, keep, opts)
  local registry, status = PLACE[state][1], PLACE[state][2]
  local job = R .. 'job:' .. id
  keep = seconds_kept(keep)
  for _, name in ipairs(REGISTRIES) do call('ZREM', R .. name .. ':' .. queue, id) end
  if opts.claim_id and opts.claim_id ~= '' then
    call('ZREM', R .. 'wip:' .. queue, id .. ':' .. opts.claim_id)
  end
  if registry == 'queue' then
    enter_queue(queue, id, opts.front)
  elseif registry == 'wip' then
    -- no expiry: RQ's maintenance would fail what it finds expired; only sesq's lease reaper judges these
    call('ZADD', R .. 'wip:' .. queue, '+inf', id .. ':' .. opts.claim_id)
  elseif registry == 'scheduled' then
    call('ZADD', R .. 'scheduled:' .. queue, opts.due, id)
  else
    local score = ENDED[registry] and call('TIME')[1] + keep or now
    call('ZADD', R .. registry .. ':' .. queue, score, id)
  end
  if call('EXISTS', job) == 1 then
    call('HSET', job, 'status', status, 'worker_name', opts.worker or '')
    if ENDED[registry] then call('EXPIRE', job, keep) else call('PERSIST', job) end
  end
end

local tally, end_row, materialize_row -- for the recipients of a batch: see batch.lua

-- Counts n that came into a state, for metrics; of one that was sent, also how long after `since` (s).
local WAITS = {0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200, 28800, 86400}
local function note(to, n, since)
  call('HINCRBY', A .. 'counters', to, n)
  if not since then return end
  local waited, within = math.max(0, now - since), 'inf'
  for i = #WAITS, 1, -1 do if waited <= WAITS[i] then within = WAITS[i] end end
  call('HINCRBY', A .. 'counters', 'wait:' .. within, 1)
  call('HINCRBYFLOAT', A .. 'counters', 'wait:sum', string.format('%.3f', waited))
end

-- What really becomes of it: with a cancelled batch, or chunk of one, nothing waits any more, and of what SES may have taken nobody can say
-- that it was not sent. Whoever judges an unknown message knows better.
local WAITING = {scheduled = true, queued = true, retrying = true, held = true}
local NOTHING_WENT = {refused = true, failed = true, suppressed = true, expired = true, cancelled = true}
local function destined(id, to, reason, from, batch, unsure)
  local b = batch and WAITING[to] and call('HMGET', A .. 'batch:' .. batch, 'state', 'reason') or {}
  local chunk = b[1] and call('HGET', A .. 'chunk:' .. (string.match(id, '^(.*)-') or ''), 'cancelled')
  if b[1] == 'cancelled' then to, reason = 'cancelled', b[2]
  elseif chunk then to, reason = 'cancelled', chunk end
  if unsure == '1' and from ~= 'unknown' and NOTHING_WENT[to] then
    to, reason = 'unknown', reason .. '; SES may have taken an earlier try'
  end
  return to, reason
end

-- Moves a message to a state. `fields` are further {name, value, …} for its record; `reason` goes into the history.
-- opts as for place(), and row: of a packed row, see end_row().
-- Returns the state that it came to; and true where no record of it is left: a row that was simply sent, or given back.
local LONGEST_HISTORY = 8000 -- bytes; then the older half goes
local function move(id, to, reason, fields, opts)
  local key = A .. 'message:' .. id
  if opts.row and call('HEXISTS', key, 'packed') == 1 then
    local reached = end_row(id, to, opts.row)
    if reached then return reached, true end
    materialize_row(id, opts.row)
  end
  local was = call('HMGET', key, 'state', 'queue', 'claim_id', 'history', 'hold', 'keep', 'batch', 'created', 'send_at', 'unsure')
  was[2] = lane_of(was[2])
  to, reason = destined(id, to, reason, was[1], was[7], was[10])
  opts.claim_id = opts.claim_id or was[3]
  place(id, was[2], to, was[6], opts) -- RQ's keys first: a user without the right to them has changed nothing
  note(to, 1, to == 'sent' and math.max(tonumber(was[8]) or now, tonumber(was[9]) or 0) or nil)
  if was[1] then call('ZREM', A .. 'state:' .. was[1], id) end
  if was[5] and was[5] ~= '' then
    call('ZREM', A .. 'hold:' .. was[5], id)
    if call('EXISTS', A .. 'hold:' .. was[5]) == 0 then call('HDEL', A .. 'holds', was[5]) end
    call('HSET', key, 'hold', '')
  end
  call('ZADD', A .. 'state:' .. to, now, id)
  local history, event = was[4] or '', cjson.encode({now, to, reason})
  if #history > LONGEST_HISTORY then
    local cut = string.find(history, '\n', LONGEST_HISTORY / 2, true)
    history = cut and string.sub(history, cut + 1) or ''
  end
  call('HSET', key, 'state', to, 'since', now, 'reason', reason,
       'history', history ~= '' and (history .. '\n' .. event) or event, unpack(fields))
  if to ~= 'sending' then call('ZREM', A .. 'leases', id) end
  if was[7] then tally(was[7], was[1], to, 1) end
  if ENDED[PLACE[to][1]] then call('ZREM', A .. 'expiring', id) end
  for _, kept in ipairs({key, A .. 'content:' .. id}) do
    if ENDED[PLACE[to][1]] then call('EXPIRE', kept, seconds_kept(was[6])) else call('PERSIST', kept) end
  end
  return to
end

-- A message whose record is lost cannot be sent any more; people see it among those that failed.
function bury(id, why)
  for state in pairs(PLACE) do call('ZREM', A .. 'state:' .. state, id) end
  call('HSET', A .. 'message:' .. id, 'queue', lane_of(call('HGET', R .. 'job:' .. id, 'origin')), 'created', now, 'keep', DAMAGE_KEPT)
  move(id, 'failed', why, {}, {})
end

-- Moves a message to `held`, among those that wait for `what`. `why` says it in words; `since` is when it was queued (s).
local function hold_back(id, what, why, since, reason, fields, opts)
  local reached = move(id, 'held', reason, fields, opts)
  if reached == 'held' then
    call('HSET', A .. 'message:' .. id, 'hold', what)
    call('ZADD', A .. 'hold:' .. what, tonumber(since) or now, id)
    call('HSET', A .. 'holds', what, why)
  end
  return reached
end

-- Whether a field of a record may be empty or a number, and is neither.
local function is_broken(field) return (field or '') ~= '' and not tonumber(field) end

-- What is wrong with a number of a record, or nil.
local BOUNDS = {rate = {1, 50}, day = {0, 50}} -- recipients: SES takes no more at once
local function fault_of(name, field)
  local number, bounds = tonumber(field), BOUNDS[name]
  if is_broken(field) or bounds and not number then return name .. ' is no number' end
  if bounds and (number < bounds[1] or number > bounds[2]) then
    return string.format('%s is not between %d and %d', name, bounds[1], bounds[2])
  end
end

-- What stands in a lane and cannot be understood stands in nobody's way: its lane's script takes it out, and it is
--   left as it is, where its state is one of another version's: such a worker puts it back (see reconcile.py);
--   held until a worker knows its version;
--   held for a person, where it is damaged.
-- r: state, v, rate, day, expires_at, send_at. Returns whether it is so; opts as for place().
local function put_aside(id, r, opts)
  if not PLACE[r.state] then
    note_damage(A .. 'message:' .. id, 'its state is ' .. r.state .. ', which this version of sesq does not know')
    return true
  end
  local what, waited_for, why
  for _, name in ipairs({'rate', 'day', 'expires_at', 'send_at'}) do
    local fault = fault_of(name, r[name])
    if fault then
      what, waited_for = 'person', 'a person, since they are damaged in Redis'
      why = 'its record in Redis is damaged: ' .. fault
    end
  end
  if r.v and not VERSIONS[r.v] then
    what, why = 'version:' .. r.v, 'it is of version ' .. r.v .. ', which this sesq cannot read'
    waited_for = why .. '; a worker that can sends it'
  end
  if not what or r.state == 'sending' then return false end
  if what == 'person' then note_damage(A .. 'message:' .. id, why) end
  if WAITING[r.state] then hold_back(id, what, waited_for, now, why, {}, opts) end
  return true
end

-- No lease is longer: what seems so is of a time from before the clock was set back, and runs out within a minute instead.
local LONGEST_LEASE = 120 -- s
local function shorten_leases(key, most)
  for _, name in ipairs(call('ZRANGEBYSCORE', key, now + LONGEST_LEASE, '+inf', 'LIMIT', 0, most)) do
    call('ZADD', key, now + LONGEST_LEASE / 2, name)
  end
end

local function is_bulk(queue) return string.sub(queue, -5) == '.bulk' end
local function urgent_beside(queue) return (string.gsub(queue, '%.bulk$', '.transactional')) end

-- Publishes one word to the workers of the account. It comes after the writes, so it must not fail the script: without the right
-- to the channel nothing is published, and the workers look once a second.
local function publish(word) redis.pcall('PUBLISH', A .. 'wake', word) end

-- Wakes the workers that wait for mail; where it may be urgent (queue: nil where nobody knows) also those that wait for a token for
-- bulk mail. ('policy', which others publish there, wakes as well who waits by limits that no longer hold.)
local function wake(queue) publish(queue and is_bulk(queue) and '' or 'urgent') end

-- The same for a message that is scheduled and due before all others: a worker at rest does not look for it every second.
local function wake_for_schedule(queue, id)
  if call('ZRANGE', R .. 'scheduled:' .. queue, 0, 0)[1] == id then wake(queue) end
end
