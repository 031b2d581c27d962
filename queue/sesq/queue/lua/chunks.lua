-- Chunks: 500 rows of a batch, packed, with one RQ job. After windows.lua and batches.lua.
--
-- Keys, A = "sesq:<account>:"
--   A chunk:<bid>-<k>    hash    batch, queue, keep, n (rows), counted (the first so many rows count towards
--                                the day), cursor (those before it were granted), redo ("start-end …": given
--                                back, in order), out (rows on their way: A message:<id> of each has packed =
--                                1), place (the state in which RQ shows its job), cancelled (why, if it was
--                                cancelled without its batch), lost (why rows that SES is not known to have
--                                taken have failed: its hash was lost, and was written anew), window (its
--                                send window, if it has one)
--   A rows:<bid>-<k>     string  the rows, packed
--   A log:<bid>-<k>      string  SES's answers: lines of "<time> <row>:<MessageId> …"
--   A results:<bid>-<k>  string  the same, packed, once the chunk is done
--   A arrived:<bid>-<k>  string  a bit for each row: 1 if it was delivered
--   A unpacked           set     chunks that are done and whose log is not packed yet
-- A row is known by its number in its chunk, from 0. `<bid>-<k>-<row>` is its message's id, if it needs
-- a record.

local CANCELLED_IN_RQ = "cancelled by RQ's own cancel"

-- Whether a text is a list of runs of rows: "start-end …", none empty or beyond the n rows of the chunk.
function Chunk.are_runs(redo, n)
  for run in string.gmatch(redo, '[^ ]+') do
    local from, to = string.match(run, '^(%d+)-(%d+)$')
    from, to = read_whole(from), read_whole(to)
    if not (from and to and from < to and to <= n) then return false end
  end
  return true
end

local FIELDS_OF_CHUNK = {
  'batch', 'queue', 'keep', 'n', 'counted', 'cursor', 'redo', 'out', 'place', 'cancelled', 'window',
}

-- Reads the numbers of a chunk as numbers. Returns whether they, and its place, can be used.
function Chunk.read_numbers(chunk, key)
  local n, counted, cursor = read_whole(chunk.n), read_whole(chunk.counted), read_whole(chunk.cursor)
  chunk.n, chunk.counted, chunk.cursor, chunk.out = n, counted, cursor, tonumber(chunk.out)
  if not (n and counted and cursor and chunk.out) or cursor > n then
    Damage.note(key, 'a number of it is damaged: its recipients are not sent')
  elseif not RQ_STATE[chunk.place or ''] then
    local place = chunk.place or 'empty'
    Damage.note(key, 'its place is ' .. place .. ', which this version of sesq does not know')
  else return true end
end

-- Reads a chunk into a table with its id, its numbers as numbers, and `state`: running, paused or cancelled.
-- Returns nil if there is no such chunk, or if one of its numbers or its place is damaged.
function Chunk.read(id)
  local key = A .. 'chunk:' .. id
  local chunk = read_fields(key, FIELDS_OF_CHUNK)
  local batch = chunk.batch or chunk.n and string.match(id, '^(.*)-%d+$')
  if not batch or not Chunk.read_numbers(chunk, key) then return nil end
  chunk.id, chunk.batch, chunk.queue, chunk.keep = id, batch, Job.own_queue(chunk.queue), chunk.keep or ''
  chunk.redo = chunk.redo or ''
  if not Chunk.are_runs(chunk.redo, chunk.n) then
    Damage.note(key, 'its field redo is no list of rows: those rows are not sent')
    chunk.redo = '' -- its lane must not wait for it
  end
  local state = chunk.cancelled and 'cancelled' or Batch.state_of(batch)
  chunk.state = state == 'done' and 'running' or state
  return chunk
end

function Chunk.has_rows(chunk) return chunk.cursor < chunk.n or chunk.redo ~= '' end

-- Returns the rows that go next: start, end (exclusive), the rest of redo (nil: they are not from redo), and
-- what each counts towards the day.
function Chunk.next_rows(chunk)
  local from, to, rest = string.match(chunk.redo, '^(%d+)-(%d+) ?(.*)$')
  local start, stop = tonumber(from) or chunk.cursor, tonumber(to) or chunk.n
  local counts = start < chunk.counted
  if counts then stop = math.min(stop, chunk.counted) end
  if from and stop < tonumber(to) then rest = stop .. '-' .. to .. (rest ~= '' and ' ' .. rest or '') end
  return start, stop, rest, counts and 1 or 0
end

-- Notes that the first m of those rows are on their way.
function Chunk.pass_rows(chunk, m)
  local start, stop, rest = Chunk.next_rows(chunk)
  if not rest then chunk.cursor = start + m
  elseif start + m < stop then chunk.redo = (start + m) .. '-' .. stop .. (rest ~= '' and ' ' .. rest or '')
  else chunk.redo = rest end
  chunk.out = chunk.out + m
end

-- Adds a row to redo, at its place in the order.
function Chunk.redo_row(chunk, row)
  local runs, put = {}, false
  local function add(from, to)
    local last = runs[#runs]
    if last and last.to == from then last.to = to else runs[#runs + 1] = {from = from, to = to} end
  end
  for from, to in string.gmatch(chunk.redo, '(%d+)-(%d+)') do
    from, to = tonumber(from), tonumber(to)
    if not put and row < from then
      add(row, row + 1)
      put = true
    end
    add(from, to)
  end
  if not put then add(row, row + 1) end
  for i, run in ipairs(runs) do runs[i] = run.from .. '-' .. run.to end
  chunk.redo = table.concat(runs, ' ')
end

-- Cancels the rows in redo, and tells consumers, who know them as queued. Returns how many.
function Chunk.drop_redo(chunk, why)
  local n = 0
  for from, to in string.gmatch(chunk.redo, '(%d+)-(%d+)') do
    n = n + to - from
    for row = tonumber(from), Stream.is_heard() and to - 1 or -1 do
      local message = {id = chunk.id .. '-' .. row, queue = chunk.queue, batch = chunk.batch}
      Stream.tell(message, 'queued', 'cancelled', why, {})
    end
  end
  chunk.redo = ''
  return n
end

-- Cancels the recipients that still wait in a chunk. Returns how many they were.
function Chunk.take_back(chunk, why)
  local n = chunk.n - chunk.cursor + Chunk.drop_redo(chunk, why)
  call('HSET', A .. 'chunk:' .. chunk.id, 'cancelled', why)
  chunk.state, chunk.cursor = 'cancelled', chunk.n
  Batch.adjust_counts(chunk.batch, 'waiting', 'cancelled', n)
  return n
end

-- Returns where its job belongs: in its queue while rows are to be granted and their window is open.
function Chunk.place_of(chunk)
  if Chunk.has_rows(chunk) then
    if chunk.state == 'paused' then return 'held' end
    return Window.opens_at(chunk.window) and 'scheduled' or 'queued'
  end
  if chunk.out > 0 then return 'sending' end
  return chunk.state == 'cancelled' and 'cancelled' or 'sent'
end

-- Clears a chunk that was cancelled, alone or with its batch. Returns how many rows were in redo.
function Chunk.clear_cancelled(chunk)
  if chunk.state ~= 'cancelled' then return 0 end
  chunk.cursor = chunk.n
  if chunk.redo == '' then return 0 end
  return Chunk.drop_redo(chunk, chunk.cancelled or Batch.read(chunk.batch, 'reason') or '')
end

-- Puts the job of a chunk where RQ's tools expect it.
function Chunk.show(chunk, place, opts)
  opts.claim_id = 'rows'
  if place == 'scheduled' then
    opts.due = Window.await(chunk.id, Window.opens_at(chunk.window) or now())
  elseif chunk.window then Window.leave(chunk.id) end
  Job.place(chunk.id, chunk.queue, place, chunk.keep, opts)
end

-- Writes the fields of a chunk, and puts its job where it belongs. Returns how many rows of redo it dropped.
function Chunk.sync_job(chunk, worker)
  local dropped = Chunk.clear_cancelled(chunk)
  local to = Chunk.place_of(chunk)
  local moves = Chunk.has_rows(chunk) and to ~= chunk.place
  if moves and call('HGET', R .. 'job:' .. chunk.id, 'status') == 'canceled' then
    Chunk.take_back(chunk, CANCELLED_IN_RQ)
    to = Chunk.place_of(chunk)
  end
  call('HSET', A .. 'chunk:' .. chunk.id, 'cursor', chunk.cursor, 'redo', chunk.redo, 'out', chunk.out,
    'place', to)
  if to == chunk.place and to ~= 'scheduled' then return dropped end
  if chunk.place == 'queued' then Job.leave_queue(chunk.queue, chunk.id) end
  Chunk.show(chunk, to, {front = true, worker = worker})
  local batch = A .. 'batch:' .. chunk.batch
  if call('EXISTS', batch) == 1 then
    call('HINCRBY', batch, 'jobs', (to == 'queued' and 1 or 0) - (chunk.place == 'queued' and 1 or 0))
  end
  if to == 'held' then call('RPUSH', A .. 'parked:' .. chunk.batch, chunk.id) end
  if to == 'sent' or to == 'cancelled' then call('SADD', A .. 'unpacked', chunk.id) end
  chunk.place = to
  return dropped
end
