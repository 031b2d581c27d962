-- How the recipients of a batch are counted, and where the jobs of its chunks stand. After lifecycle.lua, whose move() calls tally().
--
-- Keys, A = "sesq:<account>:"
--   A batches            zset    id -> time it was begun (s)
--   A batch:<bid>        hash    state (running, paused, done, cancelled), reason, created, ended (s), filled (1: all its
--                                rows are here), chunks, jobs (chunks in their queue), queue, keep (s), name, envelope, rows (of the
--                                file), total (recipients), invalid, duplicates, suppressed (rows left out),
--                                stop:bounces and stop:complaints (%), passed:<the same> (%: the share
--                                with which a person let it go on), n:<where> (recipients): of those without a record
--                                waiting, leaving (granted), taken (by SES), arrived (delivered); of the others their state;
--                                kept (chunks whose keys have been told how long they stay),
--                                starts_at (s: it is paused until then)
--   A starting           zset    batches that are paused until their time -> that time (s)
--   A parked:<bid>       list    its chunks that wait for it to be resumed
--   A chunk:<bid>-<k>    hash    batch, queue, keep, n (recipients), counted (the first so many count towards the day),
--                                cursor (those before it were granted), redo ("start-end …": given back, in order), out (rows on
--                                their way: A message:<id> of each has packed = 1), place (the state by which RQ shows its job), cancelled (why, where it was
--                                without its batch)
--   A rows:<bid>-<k>     string  the rows, packed
--   A log:<bid>-<k>      string  what SES took: lines of "<time> <row>:<MessageId> …"
--   A results:<bid>-<k>  string  the same, packed, once the chunk is done
--   A arrived:<bid>-<k>  string  one bit a row: delivered
--   A spilled:<bid>      set     ids of its recipients that have a record of their own
--   A unpacked           set     chunks that are done and whose log is not packed yet
--   A keeping            set     batches that have ended, or go on after all, and whose keys have not all been told so
--   A template:<bid>     string  the template, packed
-- A row is given by its number in its chunk, from 0. `<bid>-<k>-<row>` is its message's id, if it ever needs a record.

local OF_CHUNK = {'chunk', 'rows', 'log', 'results', 'arrived'}
local OPEN = {'waiting', 'leaving', 'scheduled', 'queued', 'sending', 'retrying', 'held', 'unknown'}
local SENT = {'taken', 'arrived', 'sent', 'delivered', 'bounced', 'complained'}
local ENOUGH = 50 -- recipients that SES must have taken before a share of them means anything
local CANCELLED_IN_RQ = "cancelled by RQ's own cancel"
local BATCH_STATES = {running = true, paused = true, done = true, cancelled = true}
local MOST_CHUNKS = 1e6
local STEP = {bounces = 1, complaints = 0.05} -- %: so much worse than what a person let pass

local function sum_of(key, names)
  local fields, sum = {}, 0
  for i, name in ipairs(names) do fields[i] = 'n:' .. name end
  for _, n in ipairs(call('HMGET', key, unpack(fields))) do sum = sum + (tonumber(n) or 0) end
  return sum
end

local function read_whole(given) return string.find(given or '', '^%d+$') and tonumber(given) or nil end

-- Whether a text is a list of rows: "start-end …", none of them empty or beyond the n rows of the chunk.
local function are_runs(redo, n)
  for run in string.gmatch(redo, '[^ ]+') do
    local from, to = string.match(run, '^(%d+)-(%d+)$')
    from, to = read_whole(from), read_whole(to)
    if not (from and to and from < to and to <= n) then return false end
  end
  return true
end

-- A batch's state. One whose state is lost, or of another version, counts as paused: nothing of it goes, nobody is taken back.
local function state_of(bid)
  local key = A .. 'batch:' .. bid
  local state = call('HGET', key, 'state')
  if BATCH_STATES[state or ''] then return state end
  note_damage(key, state and 'its state is ' .. state .. ', which this version of sesq does not know: it counts as paused'
                         or 'its state is lost: it counts as paused')
  return 'paused'
end

-- How many chunks a batch has; nil where nobody can tell. Whoever took that for none would add its rows a second time.
local function count_chunks(bid)
  local key = A .. 'batch:' .. bid
  local chunks = read_whole(call('HGET', key, 'chunks'))
  if chunks and chunks <= MOST_CHUNKS then return chunks end
  note_damage(key, 'its field chunks is no number: no rows are added to it')
  return nil
end

-- The batch's keys stay for ever while it goes on, and so long as its records after its end. They are told so some chunks at a time:
-- here the first ones, the others by the upkeep of the workers.
local CHUNKS_AT_ONCE = 100
local function keep_some(bid)
  local key = A .. 'batch:' .. bid
  local b = call('HMGET', key, 'ended', 'keep', 'chunks', 'kept')
  local keep, from, chunks = b[1] and seconds_kept(b[2]), tonumber(b[4]) or 0, tonumber(b[3]) or 0
  local function set(each) if keep then call('EXPIRE', each, keep) else call('PERSIST', each) end end
  local to = math.min(chunks, from + CHUNKS_AT_ONCE)
  for k = from, to - 1 do
    for _, kind in ipairs(OF_CHUNK) do set(A .. kind .. ':' .. bid .. '-' .. k) end
  end
  if to < chunks then
    call('HSET', key, 'kept', to)
    call('SADD', A .. 'keeping', bid)
    return
  end
  if b[4] then call('HDEL', key, 'kept') end
  call('SREM', A .. 'keeping', bid)
  for _, kind in ipairs({'batch', 'template', 'parked', 'spilled'}) do set(A .. kind .. ':' .. bid) end
end
local function keep_batch(bid)
  call('HDEL', A .. 'batch:' .. bid, 'kept')
  keep_some(bid)
end

-- Whether it is done, or goes on after all.
local function judge_batch(bid)
  local key = A .. 'batch:' .. bid
  local b = call('HMGET', key, 'state', 'filled', 'ended')
  local open = sum_of(key, OPEN) > 0
  if (b[2] == '1' or b[1] == 'cancelled') and not open and not b[3] then
    call('HSET', key, 'ended', now)
    if b[1] ~= 'cancelled' then call('HSET', key, 'state', 'done', 'reason', '') end
    keep_batch(bid)
  elseif open and b[3] then
    call('HDEL', key, 'ended')
    if b[1] == 'done' then call('HSET', key, 'state', 'running') end
    keep_batch(bid)
  end
end

-- Bounces or complaints of a batch, of how many that SES has taken, and their share (%).
local function bad_share(bid, bad)
  local key = A .. 'batch:' .. bid
  local n = tonumber(call('HGET', key, 'n:' .. (bad == 'bounces' and 'bounced' or 'complained'))) or 0
  local sent = sum_of(key, SENT)
  return n, sent, sent >= ENOUGH and n / sent * 100 or 0
end

-- A batch with too many bounces or complaints pauses itself; where a person let it go on, only when they are a step more.
local function mind_the_share(bid, bad)
  local key = A .. 'batch:' .. bid
  local b = call('HMGET', key, 'state', 'stop:' .. bad, 'passed:' .. bad)
  local most, passed = tonumber(b[2]), tonumber(b[3])
  if b[1] ~= 'running' or not most then return end
  local n, sent, share = bad_share(bid, bad)
  if share > most and (not passed or share >= passed + STEP[bad] - 1e-9) then
    local why = string.format('%s: %d of %d recipients, %.2g %%; it was to stop above %s %%', bad, n, sent, share, b[2])
    call('HSET', key, 'state', 'paused', 'reason', why)
  end
end

-- A person lets the batch go on as it is.
local function let_pass(bid)
  local key = A .. 'batch:' .. bid
  for bad in pairs(STEP) do
    local most = tonumber(call('HGET', key, 'stop:' .. bad) or nil)
    local _, _, share = bad_share(bid, bad)
    if most and share > most then call('HSET', key, 'passed:' .. bad, share) end
  end
end

-- So many recipients of a batch go from one count to another.
function tally(bid, from, to, n)
  local key = A .. 'batch:' .. bid
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

-- Until its batch is resumed.
local function hold_with_its_batch(id, bid, opts)
  local why = 'its batch is paused: ' .. (call('HGET', A .. 'batch:' .. bid, 'reason') or 'its state in Redis is lost')
  hold_back(id, 'batch:' .. bid, 'batch ' .. bid .. ' is paused', now, why, {}, opts)
end

local function read_chunk(id)
  local c = call('HMGET', A .. 'chunk:' .. id, 'batch', 'queue', 'keep', 'n', 'counted', 'cursor', 'redo', 'out', 'place', 'cancelled')
  c[1] = c[1] or c[4] and string.match(id, '^(.*)-%d+$')
  if not c[1] then return nil end
  local n, counted, cursor, out = read_whole(c[4]), read_whole(c[5]), read_whole(c[6]), tonumber(c[8])
  if not (n and counted and cursor and out) or cursor > n then
    note_damage(A .. 'chunk:' .. id, 'a number of it is damaged: its recipients are not sent')
    return nil
  end
  if not PLACE[c[9]] then
    note_damage(A .. 'chunk:' .. id, 'its place is ' .. (c[9] or 'empty') .. ', which this version of sesq does not know')
    return nil
  end
  c[2], c[7] = lane_of(c[2]), c[7] or ''
  if not are_runs(c[7], n) then -- its lane must not wait for it
    note_damage(A .. 'chunk:' .. id, 'its field redo is no list of rows: those rows are not sent')
    c[7] = ''
  end
  local state = c[10] and 'cancelled' or state_of(c[1])
  return {id = id, batch = c[1], queue = c[2], keep = c[3] or '', n = n, counted = counted, cursor = cursor, redo = c[7], out = out,
          place = c[9], state = state == 'done' and 'running' or state}
end

local function has_rows(c) return c.cursor < c.n or c.redo ~= '' end

-- The rows that go next: start, end (exclusive), what remains to be redone (nil where nothing is), and what each counts towards the day.
local function next_rows(c)
  local from, to, rest = string.match(c.redo, '^(%d+)-(%d+) ?(.*)$')
  local start, stop = tonumber(from) or c.cursor, tonumber(to) or c.n
  local counts = start < c.counted
  if counts then stop = math.min(stop, c.counted) end
  if from and stop < tonumber(to) then rest = stop .. '-' .. to .. (rest ~= '' and ' ' .. rest or '') end
  return start, stop, rest, counts and 1 or 0
end

-- The first m of those rows are on their way.
local function pass_rows(c, m)
  local start, stop, rest = next_rows(c)
  if not rest then c.cursor = start + m
  elseif start + m < stop then c.redo = (start + m) .. '-' .. stop .. (rest ~= '' and ' ' .. rest or '')
  else c.redo = rest end
  c.out = c.out + m
end

-- A row comes back, to its place among those that are to be redone.
local function redo_row(c, row)
  local runs, put = {}, false
  local function add(from, to)
    local last = runs[#runs]
    if last and last[2] == from then last[2] = to else runs[#runs + 1] = {from, to} end
  end
  for from, to in string.gmatch(c.redo, '(%d+)-(%d+)') do
    from, to = tonumber(from), tonumber(to)
    if not put and row < from then
      add(row, row + 1)
      put = true
    end
    add(from, to)
  end
  if not put then add(row, row + 1) end
  for i, run in ipairs(runs) do runs[i] = run[1] .. '-' .. run[2] end
  c.redo = table.concat(runs, ' ')
end

-- Who still waits in a chunk is taken back; how many they were.
local function take_back(c, why)
  local n = c.n - c.cursor
  for from, to in string.gmatch(c.redo, '(%d+)-(%d+)') do n = n + to - from end
  call('HSET', A .. 'chunk:' .. c.id, 'cancelled', why)
  c.state, c.cursor, c.redo = 'cancelled', c.n, ''
  tally(c.batch, 'waiting', 'cancelled', n)
  return n
end

-- Whether somebody has cancelled its job with RQ's tools.
local function is_cancelled(c) return call('HGET', R .. 'job:' .. c.id, 'status') == 'canceled' end

-- Writes down how far a chunk is, and puts its job where RQ's tools expect it: in its queue while rows are to be granted.
local function seat(c, worker)
  local to = 'sent'
  if c.state ~= 'cancelled' and has_rows(c) and c.place ~= (c.state == 'paused' and 'held' or 'queued') and is_cancelled(c) then
    take_back(c, CANCELLED_IN_RQ)
  end
  if c.state == 'cancelled' then c.cursor, c.redo = c.n, '' end
  if has_rows(c) then to = c.state == 'paused' and 'held' or 'queued'
  elseif c.out > 0 then to = 'sending'
  elseif c.state == 'cancelled' then to = 'cancelled' end
  call('HSET', A .. 'chunk:' .. c.id, 'cursor', c.cursor, 'redo', c.redo, 'out', c.out, 'place', to)
  if to == c.place then return end
  if c.place == 'queued' then leave_queue(c.queue, c.id) end
  place(c.id, c.queue, to, c.keep, {front = true, claim_id = 'rows', worker = worker})
  local batch = A .. 'batch:' .. c.batch
  if call('EXISTS', batch) == 1 then
    call('HINCRBY', batch, 'jobs', (to == 'queued' and 1 or 0) - (c.place == 'queued' and 1 or 0))
  end
  if to == 'held' then call('RPUSH', A .. 'parked:' .. c.batch, c.id) end
  if to == 'sent' or to == 'cancelled' then call('SADD', A .. 'unpacked', c.id) end
  c.place = to
end

-- Rows that are on their way: `message:<id>` of each is that of a message that is being sent, as far as the gate, the lease and the
-- answer need it. What is simply sent, or given back, goes into its chunk again; all else makes a message of it.
local touched = {} -- the chunks of such rows, read once: see write_chunks()
local function chunk_of_row(id)
  local chunk, row = string.match(id, '^(.*)-(%d+)$')
  if touched[chunk] == nil then
    local c = read_chunk(chunk)
    if c then c.log, c.back = {}, 0 end
    touched[chunk] = c or false
  end
  return touched[chunk], tonumber(row)
end

-- row: message_id, of what SES took; unused: nothing went to SES. Returns the state that it came to; nil where it needs a record.
function end_row(id, to, row)
  if to ~= 'sent' and not (to == 'queued' and row.unused) then return nil end
  local c, number = chunk_of_row(id)
  if c and to == 'sent' then c.log[#c.log + 1] = number .. ':' .. row.message_id
  elseif c then
    redo_row(c, number)
    c.back = c.back + 1
  end
  if c then c.out = c.out - 1 end
  call('DEL', A .. 'message:' .. id)
  call('ZREM', A .. 'leases', id)
  return c and to == 'queued' and c.state == 'cancelled' and 'cancelled' or to
end

-- The record of a row that had none, and its RQ job. made: envelope, job ({name, value, …}), both as JSON has them.
local function make_record(id, bid, state, since, event, made, fields)
  local b = call('HMGET', A .. 'batch:' .. bid, 'created', 'queue', 'keep')
  local history = cjson.encode({tonumber(b[1] or now), 'queued', 'in batch ' .. bid}) .. '\n' .. cjson.encode(event)
  call('HSET', A .. 'message:' .. id, 'state', state, 'since', since, 'created', b[1] or now, 'queue', lane_of(b[2]), 'reason', '',
       'history', history, 'v', 1, 'envelope', made.envelope, 'batch', bid, 'rate', 1, 'keep', b[3] or 3600, unpack(fields))
  call('HSET', R .. 'job:' .. id, unpack(made.job))
  call('SADD', A .. 'spilled:' .. bid, id)
  call('ZADD', A .. 'state:' .. state, since, id)
end

-- More happens to a row on its way than being sent: it is a message like any other from here on.
function materialize_row(id, row)
  local key, c = A .. 'message:' .. id, chunk_of_row(id)
  local was = call('HMGET', key, 'batch', 'claimed', 'worker', 'queue', 'claim_id')
  make_record(id, was[1], 'sending', now, {tonumber(was[2]), 'sending', was[3]}, row, {})
  call('HDEL', key, 'packed')
  call('SET', A .. 'content:' .. id, id)
  call('HSET', R .. 'job:' .. id, 'status', 'started')
  call('ZADD', R .. 'wip:' .. was[4], '+inf', id .. ':' .. was[5])
  if c then c.out = c.out - 1 end
  tally(was[1], 'leaving', 'sending', 1)
end

-- Writes down what has become of the chunks whose rows were settled. It is done at the end of each script with the gate's rules.
local function write_chunks()
  for _, c in pairs(touched) do
    if c then
      if #c.log > 0 then
        call('APPEND', A .. 'log:' .. c.id, string.format('%.3f ', now) .. table.concat(c.log, ' ') .. '\n')
        tally(c.batch, 'leaving', 'taken', #c.log)
        note('sent', #c.log)
      end
      tally(c.batch, 'leaving', c.state == 'cancelled' and 'cancelled' or 'waiting', c.back)
      seat(c)
      if c.back > 0 then wake(c.queue) end
    end
  end
end
