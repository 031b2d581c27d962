-- Puts the RQ job of a message or a chunk where RQ's tools expect it. After writes.lua.
--
-- Keys, A = "sesq:<account>:" (see wake.lua)
--   A stale:<queue>            set     ids in that queue whose message, or chunk, does not wait
--                              there any more
-- RQ's own keys, R = "<prefix>:". A tenant has a queue of its own in each lane (see shares.lua); the
-- registries are the lane's
--   R queue:<queue>            list    ids, the next to go first
--   R job:<id>                 hash    status, origin (the queue in which it waits, else the lane's), …
--   R wip|deferred|scheduled|finished|failed|canceled:<lane>   zset
-- All times are seconds since the epoch by Redis's clock.

-- State of a message -> the RQ registry of its job.
local RQ_STATE = {
  scheduled = 'scheduled', retrying = 'scheduled', queued = 'queue', sending = 'wip', held = 'deferred',
  unknown = 'deferred',
  sent = 'finished', delivered = 'finished', bounced = 'finished', complained = 'finished',
  cancelled = 'canceled',
  refused = 'failed', failed = 'failed', suppressed = 'failed', expired = 'failed',
}
local REGISTRIES = {'deferred', 'scheduled', 'finished', 'failed', 'canceled'}
local ENDED = {finished = true, failed = true, canceled = true}
local STATUS = {queue = 'queued', wip = 'started'} -- for the others it is the registry's name
function Job.status_of(state) return STATUS[RQ_STATE[state]] or RQ_STATE[state] end
function Job.has_ended(state) return ENDED[RQ_STATE[state]] end

-- Returns how long an ended record stays (s). Its field may be damaged, and EXPIRE refuses huge numbers.
local LONGEST_KEPT = 1e9
function Job.seconds_kept(keep)
  return math.min(LONGEST_KEPT, math.max(1, math.floor(tonumber(keep) or 3600)))
end
-- Returns the queue if it belongs to this account, else the bulk lane's: a damaged record may name any queue.
local OURS = 'sesq.' .. ARGV[1] .. '.'
function Job.own_queue(queue)
  return string.sub(queue or '', 1, #OURS) == OURS and queue or OURS .. 'bulk'
end

-- No script searches a queue, because it may be long. An id that leaves the middle of a queue is marked
-- as stale, and a claim drops it when it reaches the head. If the id comes back before that, it takes its
-- old place.
local may_be_stale = {} -- queue -> whether it has stale entries, once this script has looked
function Job.mark_stale(queue, id)
  may_be_stale[queue] = true
  return call('SADD', A .. 'stale:' .. queue, id)
end
-- Returns whether the id was marked.
function Job.forget_stale(queue, id)
  local key = A .. 'stale:' .. queue
  if may_be_stale[queue] == nil then may_be_stale[queue] = call('EXISTS', key) == 1 end
  return may_be_stale[queue] and call('SREM', key, id) == 1
end
function Job.leave_queue(queue, id)
  local list = R .. 'queue:' .. queue
  if call('LINDEX', list, 0) == id then call('LPOP', list)
  elseif call('LINDEX', list, -1) == id then call('RPOP', list)
  elseif call('HGET', R .. 'job:' .. id, 'status') == 'queued' then -- else RQ has taken it out already
    Job.mark_stale(queue, id)
  end
end
function Job.enter_queue(queue, id, front)
  Share.join(queue)
  if not Job.forget_stale(queue, id) then
    call(front and 'LPUSH' or 'RPUSH', R .. 'queue:' .. queue, id)
  end
end
function Job.drop_head(queue)
  local id = call('LPOP', R .. 'queue:' .. queue)
  if id then Job.forget_stale(queue, id) end
end
-- Counts the jobs that wait in a queue.
function Job.length_of(queue)
  return math.max(0, call('LLEN', R .. 'queue:' .. queue) - call('SCARD', A .. 'stale:' .. queue))
end

-- Removes a job from RQ's registries. If RQ's status is right for the state `from`, it is in only one.
function Job.leave_registries(id, lane, status, from)
  if from and status == Job.status_of(from) then
    if not STATUS[RQ_STATE[from]] then Write.take_out(R .. status .. ':' .. lane, id) end
    return
  end
  for _, name in ipairs(REGISTRIES) do Write.take_out(R .. name .. ':' .. lane, id) end
end

-- Sets how long a key of a message stays: until the message has ended, and then as long as the record.
function Job.set_expiry(key, state, keep, from)
  if Job.has_ended(state) then call('EXPIRE', key, Job.seconds_kept(keep))
  elseif not from or Job.has_ended(from) then call('PERSIST', key) end
end

-- Returns the origin of a job: RQ's tools look for the job in the list, or the registries, of that queue.
function Job.origin_of(queue, state) return RQ_STATE[state] == 'queue' and queue or Job.lane_of(queue) end

-- Puts a job where RQ's tools expect it for the state of its message. opts: due (s), front, claim_id,
-- worker, from (the state that it was in).
function Job.place(id, queue, state, keep, opts)
  local registry, job, lane = RQ_STATE[state], R .. 'job:' .. id, Job.lane_of(queue)
  local status = call('HGET', job, 'status')
  Job.leave_registries(id, lane, status, opts.from)
  local from, claim_id = opts.from, opts.claim_id or ''
  if claim_id ~= '' and (not from or from == 'sending') then
    Write.take_out(R .. 'wip:' .. lane, id .. ':' .. claim_id)
  end
  if registry == 'queue' then Job.enter_queue(queue, id, opts.front)
  elseif registry == 'wip' then
    -- no expiry: RQ's maintenance would fail expired jobs; only sesq itself reaps these
    Write.put(R .. 'wip:' .. lane, id .. ':' .. claim_id, '+inf')
  elseif registry == 'scheduled' then Write.put(R .. 'scheduled:' .. lane, id, opts.due)
  else
    local score = ENDED[registry] and real_seconds() + Job.seconds_kept(keep) or now()
    Write.put(R .. registry .. ':' .. lane, id, score)
  end
  if status or call('EXISTS', job) == 1 then
    call('HSET', job, 'status', Job.status_of(state), 'worker_name', opts.worker or '')
    if queue ~= lane then call('HSET', job, 'origin', Job.origin_of(queue, state)) end
    Job.set_expiry(job, state, keep, from)
  end
end

-- Wakes the workers for a message that this script has scheduled.
function Job.wake_for_schedule(queue, id)
  Write.sets()
  Job.wake_if_first(queue, id)
end
