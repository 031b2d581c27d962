-- Batches: counts the recipients of a batch, pauses it, and ends it. After jobs.lua.
--
-- Keys, A = "sesq:<account>:"
--   A batches             zset    id -> time it was begun (s)
--   A batch:<bid>         hash    state (running, paused, done, cancelled), reason, created, ended (s),
--                                 filled (1: all its rows are here), chunks, jobs (chunks in their queue),
--                                 queue, keep (s), name, envelope, rows (of the file), total (recipients),
--                                 invalid, duplicates, suppressed (rows left out),
--                                 stop:bounces and stop:complaints (%), passed:<the same> (%: the share at
--                                 which a person resumed it),
--                                 n:<where> (recipients): without a record: waiting, leaving
--                                 (granted), taken (by SES), arrived (delivered); with one: their state;
--                                 prevented (bounced recipients to whom SES did not try to send),
--                                 kept (chunks whose keys have the right expiry already),
--                                 starts_at (s: it is paused until then), window (its send window, or ''),
--                                 zone_column (the column of its rows that names the time zone of
--                                 the window for that row; or '')
--   A starting            zset    batches that are paused until their time -> that time (s)
--   A parked:<bid>        list    its chunks that wait for it to be resumed
--   A materialized:<bid>  set     ids of its recipients that have a record of their own
--   A keeping             set     batches that have ended, or were reopened, whose keys do not all have
--                                 the right expiry yet
--   A template:<bid>      string  the template, packed
--   A progress:<bid>      string  its progress over time; see note_progress.lua

local OF_BATCH = {'batch', 'template', 'parked', 'materialized', 'windows', 'progress'}
local OF_CHUNK = {'chunk', 'rows', 'log', 'results', 'arrived'} -- kinds of keys; see chunks.lua
local OPEN = {'waiting', 'leaving', 'scheduled', 'queued', 'sending', 'retrying', 'held', 'unknown'}
local SENT = {'taken', 'arrived', 'sent', 'delivered', 'bounced', 'complained'}
local ENOUGH = 50 -- recipients that SES must have taken before a share of them means anything
local STEP = {bounces = 1, complaints = 0.05} -- %: how much the share must rise after a person's resume
local COUNTED_AS = {bounces = 'bounced', complaints = 'complained'}

function Batch.key(bid) return A .. 'batch:' .. bid end
function Batch.read(bid, ...) return read(Batch.key(bid), ...) end
function Batch.set(bid, ...) call('HSET', Batch.key(bid), ...) end

local STATES = {running = true, paused = true, done = true, cancelled = true}
local MOST_CHUNKS = 1e6

-- Returns the state of a batch. If the state is lost, or unknown to this version, the batch counts as paused:
-- none of its rows is sent or cancelled.
function Batch.state_of(bid)
  local state = Batch.read(bid, 'state')
  if STATES[state or ''] then return state end
  local why = state and 'its state is ' .. state .. ', which this version of sesq does not know'
    or 'its state is lost'
  Damage.note(Batch.key(bid), why .. ': it counts as paused')
  return 'paused'
end

-- Returns how many chunks a batch has; nil if that field is damaged. A caller that took nil for 0 would add
-- the rows a second time.
function Batch.count_chunks(bid)
  local chunks = read_whole((Batch.read(bid, 'chunks')))
  if chunks and chunks <= MOST_CHUNKS then return chunks end
  Damage.note(Batch.key(bid), 'its field chunks is no number: no rows are added to it')
  return nil
end

function Batch.sum_of(bid, names)
  local fields, sum = {}, 0
  for i, name in ipairs(names) do fields[i] = 'n:' .. name end
  for _, n in ipairs(call('HMGET', Batch.key(bid), unpack(fields))) do sum = sum + (tonumber(n) or 0) end
  return sum
end

-- Sets how long the keys of a batch stay: for ever while it goes on, then as long as its records.
-- Does it for some chunks at a time; the workers' upkeep does it for the rest.
local CHUNKS_AT_ONCE = 100
function Batch.keep_some(bid)
  local ended, keep, chunks, kept = Batch.read(bid, 'ended', 'keep', 'chunks', 'kept')
  local seconds, from = ended and Job.seconds_kept(keep), tonumber(kept) or 0
  local function set(key) if seconds then call('EXPIRE', key, seconds) else call('PERSIST', key) end end
  chunks = tonumber(chunks) or 0
  local to = math.min(chunks, from + CHUNKS_AT_ONCE)
  for k = from, to - 1 do
    for _, kind in ipairs(OF_CHUNK) do set(A .. kind .. ':' .. bid .. '-' .. k) end
  end
  if to < chunks then
    Batch.set(bid, 'kept', to)
    call('SADD', A .. 'keeping', bid)
    return
  end
  if kept then call('HDEL', Batch.key(bid), 'kept') end
  call('SREM', A .. 'keeping', bid)
  for _, kind in ipairs(OF_BATCH) do set(A .. kind .. ':' .. bid) end
end
function Batch.keep(bid)
  call('HDEL', Batch.key(bid), 'kept')
  Batch.keep_some(bid)
end

-- Ends a batch if no row of it waits or is on its way, and reopens it if a row is queued again.
function Batch.judge(bid)
  local state, filled, ended = Batch.read(bid, 'state', 'filled', 'ended')
  if not ended and filled ~= '1' and state ~= 'cancelled' then return end
  local open = Batch.sum_of(bid, OPEN) > 0
  if not open and not ended then
    Batch.set(bid, 'ended', now())
    if state ~= 'cancelled' then Batch.set(bid, 'state', 'done', 'reason', '') end
    Batch.keep(bid)
  elseif open and ended then
    call('HDEL', Batch.key(bid), 'ended')
    if state == 'done' then Batch.set(bid, 'state', 'running') end
    Batch.keep(bid)
  end
end

-- Counts one more bounced recipient to whom SES did not try to send.
function Batch.count_prevented(bid)
  if call('EXISTS', Batch.key(bid)) == 1 then call('HINCRBY', Batch.key(bid), 'prevented', 1) end
end

-- Returns the number of bounces or complaints of a batch, the number of recipients that SES has taken, and
-- the share (%; 0 while SES has taken too few). A bounce of mail that SES did not try to send does not count.
function Batch.bad_share(bid, bad)
  local n, sent = Batch.sum_of(bid, {COUNTED_AS[bad]}), Batch.sum_of(bid, SENT)
  if bad == 'bounces' then n = math.max(0, n - (tonumber((Batch.read(bid, 'prevented'))) or 0)) end
  return n, sent, sent >= ENOUGH and n / sent * 100 or 0
end

-- Pauses a batch with too many bounces or complaints. If a person has resumed it before, it is
-- paused only if the share is a step higher than at that time.
function Batch.mind_the_share(bid, bad)
  local state, stop, passed = Batch.read(bid, 'state', 'stop:' .. bad, 'passed:' .. bad)
  local most, least = tonumber(stop), tonumber(passed)
  if state ~= 'running' or not most then return end
  local n, sent, share = Batch.bad_share(bid, bad)
  if share > most and (not least or share >= least + STEP[bad] - 1e-9) then
    local why = '%s: %d of %d recipients, %.2g %%; it was to stop above %s %%'
    Batch.set(bid, 'state', 'paused', 'reason', string.format(why, bad, n, sent, share, stop))
  end
end

-- Notes the shares of bounces and complaints at which a person resumes the batch.
function Batch.acknowledge(bid)
  for bad in pairs(STEP) do
    local most = tonumber((Batch.read(bid, 'stop:' .. bad)))
    local _, _, share = Batch.bad_share(bid, bad)
    if most and share > most then Batch.set(bid, 'passed:' .. bad, share) end
  end
end

-- Moves n recipients of a batch from one count to another.
function Batch.adjust_counts(bid, from, to, n)
  local key = Batch.key(bid)
  if n == 0 or call('EXISTS', key) == 0 then return end
  if from then call('HINCRBY', key, 'n:' .. from, -n) end
  call('HINCRBY', key, 'n:' .. to, n)
  if to == 'bounced' or to == 'taken' then Batch.mind_the_share(bid, 'bounces') end
  if to == 'complained' or to == 'taken' then Batch.mind_the_share(bid, 'complaints') end
  Batch.judge(bid)
end

-- Returns paused or cancelled if a batch is in that state; nil if it goes on, or if there is no batch.
function Batch.stopped(bid)
  local state = bid and Batch.state_of(bid)
  return (state == 'paused' or state == 'cancelled') and state or nil
end
