-- Claim: up to `want` messages that may go now, already taken from their lanes and under this worker's lease. Of a chunk of a
-- batch, as many recipients as may go: it stays at the head of its lane until all are granted.
-- After lifecycle.lua and gate.lua, whose keys it uses, and
--   A suppression hash    who gets no mail
--   A line        zset    worker -> when the token that it was told of is due (s)
--   A line:bulk   zset    the same, of workers that serve no urgent mail: where others wait for a token for that, these yield
--
-- ARGV[3] worker   [4] want (messages)   [5] lease (s)   [6] claim_id: the id of this claim   [7…] RQ queues, first lane first
-- Returns {reason, wait (s), {id, …}, {id not ours, …}, addresses on the suppression list, 1 where it waits for tokens for bulk mail, else 0}
--   reason  why no more were granted: full (all that was wanted), empty, rate, day, paused, unsynced, ses_paused; more (there is more
--           to move out of the way than one claim may)
--   wait    seconds until this worker should ask again; each waiting worker gets a token of its own, so none of them herd

local worker, want, lease, claim_id = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local QUANTUM, LOOK_AGAIN = 0.04, 60  -- s: closest that two claims follow each other where tokens are short; with others in the way
local SAME = 0.01 -- s: times so close are of one token
local OVERDUE, FAR = 1, 60 -- s: who was told of a token and has not come by then may be dead; of one so far off nobody need know

local serves_urgent = false
for i = 7, #ARGV do serves_urgent = serves_urgent or not is_bulk(ARGV[i]) end
local line = A .. (serves_urgent and 'line' or 'line:bulk')
call('ZREM', line, worker)
local why = closed()
if why then return {why, '1', {}, {}, 0, 0} end

-- For a worker that serves no urgent mail: whether one that does waits for a token for it, and what its head will take of the day.
local urgent = not serves_urgent and call('LINDEX', R .. 'queue:' .. urgent_beside(ARGV[7]), 0)
local yields = urgent and call('ZCOUNT', A .. 'line', now - OVERDUE, now + FAR) > 0
local urgent_day = 0
if urgent and call('SCARD', R .. 'workers:' .. urgent_beside(ARGV[7])) > 0 then
  local head = call('HMGET', A .. 'message:' .. urgent, 'state', 'day', 'send_at')
  urgent_day = is_sendable(head[1], head[3]) and tonumber(head[2]) or 0
  if urgent_day > daily then urgent_day = 0 end
end

local aside = 0 -- what was moved out of the way
local MOST_ASIDE = 100 -- 1 to 5 ms of work
local granted, strangers, reason, at = {}, {}, 'empty', nil  -- at: when what is short is there (s)

-- Takes out what stands in a queue and may not be sent, and puts it where its state belongs.
local function set_aside(id, queue, record)
  aside = aside + 1
  local stale = call('SISMEMBER', A .. 'stale:' .. queue, id) == 1
  drop_head(queue)
  if stale then return end
  if not record[1] then strangers[#strangers + 1] = id
  elseif is_sendable(record[1], record[7]) then move(id, 'expired', 'its time ran out before it could go', {}, {})
  elseif record[1] ~= 'sending' then place(id, lane_of(record[9]), record[1], record[5], {due = tonumber(record[7]) or now}) end
end

-- A recipient of a batch that has a record of its own stops with its batch.
local function stop_with_its_batch(id, queue, bid, state)
  drop_head(queue)
  aside = aside + 1
  if state == 'cancelled' then move(id, 'cancelled', call('HGET', A .. 'batch:' .. bid, 'reason') or '', {}, {})
  else hold_with_its_batch(id, bid, {}) end
end

local function lease_out(id)
  call('ZADD', A .. 'leases', now + lease + #granted * 1e-6, id) -- in their order
  granted[#granted + 1] = id
end

local function grant(id, queue, n, day)
  drop_head(queue)
  take(n, lease, id)
  if day > 0 then count(minute, day) end
  move(id, 'sending', worker, {'claim_id', claim_id, 'worker', worker, 'claimed', now, 'tokens_at', now, 'started_at', ''}, {claim_id = claim_id, worker = worker})
  lease_out(id)
end

-- The first m rows of a chunk that go next: each is a message that is being sent, but for its content.
local function grant_rows(c, m)
  local start, _, _, day = next_rows(c)
  take(m, lease)
  if day > 0 then count(minute, m) end
  pass_rows(c, m)
  for row = start, start + m - 1 do
    local id = c.id .. '-' .. row
    call('HSET', A .. 'message:' .. id, 'packed', 1, 'state', 'sending', 'since', now, 'queue', c.queue, 'keep', c.keep, 'batch', c.batch, 'rate', 1, 'day', day,
         'claim_id', claim_id, 'worker', worker, 'claimed', now, 'tokens_at', now, 'started_at', '')
    lease_out(id)
  end
  tally(c.batch, 'waiting', 'leaving', m)
  seat(c, worker)
end

-- Grants what may go now of the chunk at the head; true when the lane may be looked at once more.
local function serve_chunk(c, queue, kept)
  if c.queue ~= queue then -- somebody has put it into a queue that is not its own
    aside = aside + 1
    drop_head(queue)
    if c.place ~= 'queued' then place(c.id, c.queue, c.place, c.keep, {claim_id = 'rows'}) end
    return true
  end
  if c.place ~= 'queued' or c.state ~= 'running' or not has_rows(c) then
    aside = aside + 1
    if c.place == 'queued' then seat(c) else
      drop_head(queue)
      place(c.id, queue, c.place, c.keep, {claim_id = 'rows'})
    end
    return true
  end
  local start, stop, _, day = next_rows(c)
  local room = day > 0 and math.floor(daily - total - others - kept) or math.huge
  local m = math.min(want - #granted, stop - start, gathering() and 0 or math.floor(math.min(tokens(), spare_tokens()) + 1e-6), room)
  if room < 1 then reason, at = 'day', room_at(1, kept) or now + LOOK_AGAIN
  elseif m < 1 then reason, at = 'rate', ready_at(1)
  else grant_rows(c, m) end
  return m >= 1
end

-- Works through one lane, or looks at its head alone if that is `only`; true when the lanes after it may be looked at.
local function serve(queue, only)
  local spare = is_bulk(queue) and reserve or 0
  local kept = spare + urgent_day
  while #granted + #strangers < want and aside < MOST_ASIDE do
    local id = call('LINDEX', R .. 'queue:' .. queue, 0)
    if not id then
      call('DEL', A .. 'stale:' .. queue) -- nothing stands there, whoever has emptied it
      return true
    end
    if only and id ~= only then return true end
    if yields and not only then
      reason, at = 'rate', ready_at(1)
      return false
    end
    local record = call('HMGET', A .. 'message:' .. id, 'state', 'rate', 'day', 'expires_at', 'keep', 'batch', 'send_at', 'v', 'queue', 'created', 'checked')
    local expires = tonumber(record[4])
    local chunk = not record[1] and read_chunk(id)
    if chunk then
      if not serve_chunk(chunk, queue, kept) then return false end
    elseif record[1] and put_aside(id, {state = record[1], v = record[8], rate = record[2], day = record[3], expires_at = record[4],
                                        send_at = record[7]}, {}) then
      drop_head(queue)
      aside = aside + 1
    elseif not is_sendable(record[1], record[7]) or (expires and expires <= now)
        or (record[1] ~= 'queued' and call('SISMEMBER', A .. 'stale:' .. queue, id) == 1) then
      set_aside(id, queue, record)
    elseif may_have_gone(record[10], record[11]) then
      drop_head(queue)
      aside = aside + 1
      hold_after_restore(id, record[10], {})
    elseif stopped(record[6]) then
      stop_with_its_batch(id, queue, record[6], stopped(record[6]))
    else
      local n, day = tonumber(record[2]), tonumber(record[3])
      if day > math.max(1, daily - spare) then
        drop_head(queue)
        aside = aside + 1
        hold_as_too_large(id, day, daily - spare, {})
      elseif day > 0 and total + others + day + kept > daily then
        reason, at = 'day', room_at(day, kept) or now + LOOK_AGAIN
        return false
      elseif not may_go(n, id) then
        gather_for(id, n, queue)
        reason, at = 'rate', ready_at(n, id)
        return false
      else
        grant(id, queue, n, day)
      end
    end
  end
  reason = aside < MOST_ASIDE and 'full' or 'more'
  return false
end

-- The mail for which tokens gather goes before all else, and nobody else before it. Returns its queue while it does not go.
local function serve_the_gathering()
  local queue, id, mine = waiting.queue, waiting.id, false
  for i = 7, #ARGV do mine = mine or ARGV[i] == queue end
  if mine and not is_paused(queue) then serve(queue, id) end
  if not waiting then return nil end
  local head = queue ~= '-' and not is_paused(queue) and call('LINDEX', R .. 'queue:' .. queue, 0)
  local record = head == id and call('HMGET', A .. 'message:' .. id, 'state', 'send_at') or {}
  local waits = queue == '-' or is_sendable(record[1], record[2])
  if waits and reason ~= 'day' then
    if not mine then reason, at = 'rate', math.max(ready_at(1), now + QUANTUM) end
    return queue
  end
  end_gathering()
  reason = 'empty'
end

local stopped_at = gathering() and serve_the_gathering()
for i = 7, stopped_at and 0 or #ARGV do
  if is_paused(ARGV[i]) then
    if reason == 'empty' and length_of(ARGV[i]) > 0 then reason = 'paused' end
  elseif not serve(ARGV[i]) then
    stopped_at = ARGV[i]
    break
  end
end
local for_bulk = reason == 'rate' and is_bulk(stopped_at)
call('HINCRBY', A .. 'gate', 'claims', 1)

local wait = 0
if reason == 'day' then wait = math.min(at, changes_at) - now
elseif reason == 'paused' then wait = 1
elseif reason == 'rate' then
  -- the first coming token that nobody was told of who goes before this worker
  local step = math.max(1 / pace, QUANTUM)
  local due = math.max(at, now + ((yields or #granted > 0) and QUANTUM or 0.001))
  local told = {}
  for _, name in ipairs(for_bulk and {'line', 'line:bulk'} or {'line'}) do
    call('ZREMRANGEBYSCORE', A .. name, '-inf', now - OVERDUE)
    local those = call('ZRANGEBYSCORE', A .. name, now, '+inf', 'WITHSCORES')
    for i = 2, #those, 2 do told[#told + 1] = tonumber(those[i]) end
  end
  table.sort(told)
  for _, theirs in ipairs(told) do
    if theirs - due > math.min(step / 2, SAME) then break end
    due = math.max(due, theirs + step)
  end
  call('ZADD', line, due, worker)
  wait = math.min(due, changes_at) - now
end
return {reason, string.format('%.6f', wait), granted, strangers, call('HLEN', A .. 'suppression'), for_bulk and 1 or 0}
