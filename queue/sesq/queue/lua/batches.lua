-- Batches: how the recipients of a batch are counted, and when it pauses itself or has ended. After jobs.lua.
--
-- Keys, A = "sesq:<account>:"
--   A batches             zset    id -> time it was begun (s)
--   A batch:<bid>         hash    state (running, paused, done, cancelled), reason, created, ended (s),
--                                 filled (1: all its rows are here), chunks, jobs (chunks in their queue),
--                                 queue, keep (s), name, envelope, rows (of the file), total (recipients),
--                                 invalid, duplicates, suppressed (rows left out),
--                                 stop:bounces and stop:complaints (%), passed:<the same> (%: the share with
--                                 which a person let it go on),
--                                 n:<where> (recipients): of those without a record waiting, leaving
--                                 (granted), taken (by SES), arrived (delivered); of the others their state;
--                                 kept (chunks whose keys have the right expiry already),
--                                 starts_at (s: it is paused until then)
--   A starting            zset    batches that are paused until their time -> that time (s)
--   A parked:<bid>        list    its chunks that wait for it to be resumed
--   A materialized:<bid>  set     ids of its recipients that have a record of their own
--   A keeping             set     batches that have ended, or were reopened, and of which not all keys have
--                                 the right expiry yet
--   A template:<bid>      string  the template, packed

local OF_CHUNK = {'chunk', 'rows', 'log', 'results', 'arrived'} -- kinds of keys; see chunks.lua
local OPEN = {'waiting', 'leaving', 'scheduled', 'queued', 'sending', 'retrying', 'held', 'unknown'}
local SENT = {'taken', 'arrived', 'sent', 'delivered', 'bounced', 'complained'}
local ENOUGH = 50 -- recipients that SES must have taken before a share of them means anything
local STEP = {bounces = 1, complaints = 0.05} -- %: so much worse than what a person let pass
local COUNTED_AS = {bounces = 'bounced', complaints = 'complained'}

local function key_of_batch(bid) return A .. 'batch:' .. bid end
local function read_batch(bid, ...) return read(key_of_batch(bid), ...) end
local function set_batch(bid, ...) call('HSET', key_of_batch(bid), ...) end

local STATES = {running = true, paused = true, done = true, cancelled = true}
local MOST_CHUNKS = 1e6

-- Returns the state of a batch. If the state is lost, or unknown to this version, the batch counts as paused:
-- none of its rows is sent or cancelled.
local function state_of(bid)
  local state = read_batch(bid, 'state')
  if STATES[state or ''] then return state end
  local why = state and 'its state is ' .. state .. ', which this version of sesq does not know'
    or 'its state is lost'
  note_damage(key_of_batch(bid), why .. ': it counts as paused')
  return 'paused'
end

-- Returns how many chunks a batch has; nil if that field is damaged. A caller that took nil for 0 would add
-- the rows a second time.
local function count_chunks(bid)
  local chunks = read_whole((read_batch(bid, 'chunks')))
  if chunks and chunks <= MOST_CHUNKS then return chunks end
  note_damage(key_of_batch(bid), 'its field chunks is no number: no rows are added to it')
  return nil
end

local function sum_of(bid, names)
  local fields, sum = {}, 0
  for i, name in ipairs(names) do fields[i] = 'n:' .. name end
  for _, n in ipairs(call('HMGET', key_of_batch(bid), unpack(fields))) do sum = sum + (tonumber(n) or 0) end
  return sum
end

-- Sets how long the keys of a batch stay: for ever while it goes on, as long as its records after its end.
-- Does it for some chunks at a time; the workers' upkeep does it for the rest.
local CHUNKS_AT_ONCE = 100
local function keep_some(bid)
  local ended, keep, chunks, kept = read_batch(bid, 'ended', 'keep', 'chunks', 'kept')
  local seconds, from = ended and seconds_kept(keep), tonumber(kept) or 0
  local function set(key) if seconds then call('EXPIRE', key, seconds) else call('PERSIST', key) end end
  chunks = tonumber(chunks) or 0
  local to = math.min(chunks, from + CHUNKS_AT_ONCE)
  for k = from, to - 1 do
    for _, kind in ipairs(OF_CHUNK) do set(A .. kind .. ':' .. bid .. '-' .. k) end
  end
  if to < chunks then
    set_batch(bid, 'kept', to)
    call('SADD', A .. 'keeping', bid)
    return
  end
  if kept then call('HDEL', key_of_batch(bid), 'kept') end
  call('SREM', A .. 'keeping', bid)
  for _, kind in ipairs({'batch', 'template', 'parked', 'materialized'}) do set(A .. kind .. ':' .. bid) end
end
local function keep_batch(bid)
  call('HDEL', key_of_batch(bid), 'kept')
  keep_some(bid)
end

-- Ends a batch of which nothing waits or is on its way any more, and reopens it if something is queued again.
local function judge_batch(bid)
  local state, filled, ended = read_batch(bid, 'state', 'filled', 'ended')
  if not ended and filled ~= '1' and state ~= 'cancelled' then return end
  local open = sum_of(bid, OPEN) > 0
  if not open and not ended then
    set_batch(bid, 'ended', now())
    if state ~= 'cancelled' then set_batch(bid, 'state', 'done', 'reason', '') end
    keep_batch(bid)
  elseif open and ended then
    call('HDEL', key_of_batch(bid), 'ended')
    if state == 'done' then set_batch(bid, 'state', 'running') end
    keep_batch(bid)
  end
end

-- Returns the number of bounces or complaints of a batch, the number of recipients that SES has taken, and
-- the share (%; 0 while SES has taken too few).
local function bad_share(bid, bad)
  local n, sent = sum_of(bid, {COUNTED_AS[bad]}), sum_of(bid, SENT)
  return n, sent, sent >= ENOUGH and n / sent * 100 or 0
end

-- Pauses a batch with too many bounces or complaints. If a person has resumed it in spite of them, it is
-- paused only when the share is a step higher than then.
local function mind_the_share(bid, bad)
  local state, stop, passed = read_batch(bid, 'state', 'stop:' .. bad, 'passed:' .. bad)
  local most, least = tonumber(stop), tonumber(passed)
  if state ~= 'running' or not most then return end
  local n, sent, share = bad_share(bid, bad)
  if share > most and (not least or share >= least + STEP[bad] - 1e-9) then
    local why = '%s: %d of %d recipients, %.2g %%; it was to stop above %s %%'
    set_batch(bid, 'state', 'paused', 'reason', string.format(why, bad, n, sent, share, stop))
  end
end

-- Notes with which shares of bounces and complaints a person has let the batch go on.
local function acknowledge(bid)
  for bad in pairs(STEP) do
    local most = tonumber((read_batch(bid, 'stop:' .. bad)))
    local _, _, share = bad_share(bid, bad)
    if most and share > most then set_batch(bid, 'passed:' .. bad, share) end
  end
end

-- So many recipients of a batch go from one count to another.
local function adjust_counts(bid, from, to, n)
  local key = key_of_batch(bid)
  if n == 0 or call('EXISTS', key) == 0 then return end
  if from then call('HINCRBY', key, 'n:' .. from, -n) end
  call('HINCRBY', key, 'n:' .. to, n)
  if to == 'bounced' or to == 'taken' then mind_the_share(bid, 'bounces') end
  if to == 'complained' or to == 'taken' then mind_the_share(bid, 'complaints') end
  judge_batch(bid)
end

-- paused or cancelled, where a message's batch is; nil where it goes on, or the message belongs to none.
local function stopped(bid)
  local state = bid and state_of(bid)
  return (state == 'paused' or state == 'cancelled') and state or nil
end
