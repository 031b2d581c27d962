-- Corrects the counts of a batch, its lists, and whether it has ended. For the auditor; after
-- mending.lua.
--
-- ARGV[3] batch
--     [4] JSON {name: count}: its counts when the auditor read it
--     [5] JSON {name: count}: the counts as they should be
--     [6] chunks in their queue   [7] JSON [id, …]: chunks that are to be parked   [8] its rows
-- Returns what was done, in words; nothing if the counts have changed since it was read, or if all agrees.

local bid, was, counted = ARGV[3], cjson.decode(ARGV[4]), cjson.decode(ARGV[5])
local jobs, parked, rows = ARGV[6], cjson.decode(ARGV[7]), ARGV[8]
local batch = read_hash(Batch.key(bid))

local function has_changed()
  for name, n in pairs(was) do
    if (tonumber(batch['n:' .. name]) or 0) ~= n then return true end
  end
end

local function mend_counts()
  for name, n in pairs(counted) do
    if (was[name] or 0) ~= n then
      Batch.set(bid, 'n:' .. name, n)
      Mend.say('%d of its rows are %s', n, name)
    end
  end
  if (tonumber(batch.total) or 0) ~= tonumber(rows) then
    Batch.set(bid, 'total', rows)
    Mend.say('it has %s rows', rows)
  end
  if (tonumber(batch.jobs) or 0) ~= tonumber(jobs) then
    Batch.set(bid, 'jobs', jobs)
    Mend.say('%s queued chunks are counted', jobs)
  end
end

local function mend_lists()
  if call('ZADD', A .. 'batches', 'NX', batch.created or now(), bid) == 1 then
    Mend.say('it is put among the batches')
  end
  local starts = batch.starts_at or ''
  if starts ~= '' and call('ZADD', A .. 'starting', 'NX', starts, bid) == 1 then
    Mend.say('its time is looked for')
  end
  local here = {}
  for _, id in ipairs(call('LRANGE', A .. 'parked:' .. bid, 0, -1)) do here[id] = true end
  for _, id in ipairs(parked) do
    if not here[id] then
      call('RPUSH', A .. 'parked:' .. bid, id)
      Mend.say('%s is parked', id)
    end
  end
end

local function main()
  if not batch.state or has_changed() then return did end
  mend_counts()
  mend_lists()
  Batch.judge(bid)
  if call('HGET', A .. 'batch:' .. bid, 'ended') ~= (batch.ended or false) then
    Mend.say(batch.ended and 'it goes on' or 'it has ended')
  end
  return did
end
