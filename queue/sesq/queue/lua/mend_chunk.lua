-- Puts a chunk of a batch where its rows belong, with its RQ job. For the auditor; after mending.lua.
--
-- ARGV[3] chunk   [4] rows that are on their way   [5] how often it is in its own lane
--     [6] JSON [[queue, entry], …]: its entries in RQ's registries of running jobs
--     [7] JSON [queue, …]: lanes in which it should not be
--     [8] RQ's job as JSON [name, value, …], if it has none
-- Returns what was done, in words; nothing if there is no such chunk, or all agrees.

local id, out, in_lane = ARGV[3], tonumber(ARGV[4]), ARGV[5] ~= '0'
local runs, lanes, new_job = cjson.decode(ARGV[6]), cjson.decode(ARGV[7]), ARGV[8]
local batch, keep = read(A .. 'chunk:' .. id, 'batch', 'keep')

local function mend_expiry()
  for _, kind in ipairs(OF_CHUNK) do
    local key = A .. kind .. ':' .. id
    if call('TTL', key) == -1 then
      call('EXPIRE', key, Job.seconds_kept(keep))
      Mend.say('%s expires', key)
    end
  end
end

local function mend_job(chunk)
  if chunk.out ~= out then
    chunk.out = out
    Mend.say('%d rows on their way are counted', out)
  end
  if call('EXISTS', R .. 'job:' .. id) == 0 then
    call('HSET', R .. 'job:' .. id, unpack(cjson.decode(new_job)))
    Mend.say('given an RQ job')
  end
end

local function mend_place(chunk)
  local was, entry = chunk.place, id .. ':rows'
  Mend.drop_runs(runs, function (run) return chunk.out > 0 and not Chunk.has_rows(chunk) and run == entry end)
  Mend.leave_lanes(id, lanes)
  local noted = Window.is_awaited(id)
  Chunk.sync_job(chunk)
  if chunk.place ~= 'scheduled' then Window.leave(id) end
  Write.sets()
  if Window.is_awaited(id) ~= noted then
    Mend.say('%s as waiting for its window', noted and 'noted no more' or 'noted')
  end
  local moved = chunk.place ~= was
  if moved then Mend.say('put where its rows belong: %s', chunk.place) end
  local absent = RQ_STATE[chunk.place] == 'queue' and not moved and not in_lane
  if absent or not Mend.is_shown_as(id, chunk.queue, chunk.place, entry) then
    local due = Window.opens_at(chunk.window) or now()
    Mend.show_as(id, chunk.queue, chunk.place, chunk.keep, in_lane, {claim_id = 'rows', due = due})
  end
end

local function mend_results(chunk)
  local ended = chunk.place == 'sent' or chunk.place == 'cancelled'
  if ended and call('EXISTS', A .. 'log:' .. id) == 1 and call('SADD', A .. 'unpacked', id) == 1 then
    Mend.say('its results will be packed')
  end
end

local function main()
  -- the batch is gone, so none of its rows is sent (see the auditor)
  if batch and call('EXISTS', Batch.key(batch)) == 0 then mend_expiry()
  else
    local chunk = Chunk.read(id)
    for _, mend in ipairs(chunk and {mend_job, mend_place, mend_results} or {}) do mend(chunk) end
  end
  return did
end
