-- Mend: the counts of a batch, as they were counted anew, whether it has ended, and how long its keys stay. For the auditor; after
-- lifecycle.lua and batch.lua.
--
-- ARGV[3] batch   [4] JSON {name: count}: its counts as they were when it was read   [5] JSON {name: count}: as they should be
--     [6] chunks in their queue   [7] JSON [id, …]: chunks that wait for it to be resumed   [8] its rows
-- Returns what was done, in words; nothing where the batch has moved since it was read, or all agrees.

local did, bid, key = {}, ARGV[3], A .. 'batch:' .. ARGV[3]
local was, counted = cjson.decode(ARGV[4]), cjson.decode(ARGV[5])
local function say(...) did[#did + 1] = string.format(...) end
if call('EXISTS', key) == 0 then return did end
for name, n in pairs(was) do
  if (tonumber(call('HGET', key, 'n:' .. name) or nil) or 0) ~= n then return did end
end

for name, n in pairs(counted) do
  if (was[name] or 0) ~= n then
    call('HSET', key, 'n:' .. name, n)
    say('%d of its rows are %s', n, name)
  end
end
local b = call('HMGET', key, 'created', 'jobs', 'starts_at', 'total')
if (tonumber(b[4] or nil) or 0) ~= tonumber(ARGV[8]) then
  call('HSET', key, 'total', ARGV[8])
  say('it has %s rows', ARGV[8])
end
if (tonumber(b[2] or nil) or 0) ~= tonumber(ARGV[6]) then
  call('HSET', key, 'jobs', ARGV[6])
  say('%s queued chunks are counted', ARGV[6])
end
if call('ZADD', A .. 'batches', 'NX', b[1] or now, bid) == 1 then say('it is put among the batches') end
if b[3] and b[3] ~= '' and call('ZADD', A .. 'starting', 'NX', b[3], bid) == 1 then say('its time is looked for') end

local parked, here = call('LRANGE', A .. 'parked:' .. bid, 0, -1), {}
for _, id in ipairs(parked) do here[id] = true end
for _, id in ipairs(cjson.decode(ARGV[7])) do
  if not here[id] then
    call('RPUSH', A .. 'parked:' .. bid, id)
    say('%s is parked', id)
  end
end

local ended = call('HGET', key, 'ended')
judge_batch(bid)
if call('HGET', key, 'ended') ~= ended then say(ended and 'it goes on' or 'it has ended') end
return did
