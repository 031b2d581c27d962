-- Mend: a chunk of a batch goes where its rows belong, with its RQ job. For the auditor; after lifecycle.lua and batch.lua.
--
-- ARGV[3] chunk   [4] rows that are on their way   [5] how often it stands in its own lane   [6] JSON [[queue, entry], …]: entries of those that run
--     [7] JSON [queue, …]: lanes in which it stands and should not   [8] RQ's job as JSON [name, value, …], for one that has none
-- Returns what was done, in words; nothing where there is no such chunk, or all agrees.

local did, id = {}, ARGV[3]
local function say(...) did[#did + 1] = string.format(...) end
local told = call('HMGET', A .. 'chunk:' .. id, 'batch', 'keep')
if told[1] and call('EXISTS', A .. 'batch:' .. told[1]) == 0 then -- all of it is sent: see the auditor
  for _, kind in ipairs(OF_CHUNK) do
    if call('TTL', A .. kind .. ':' .. id) == -1 then
      call('EXPIRE', A .. kind .. ':' .. id, seconds_kept(told[2]))
      say('%s expires', A .. kind .. ':' .. id)
    end
  end
  return did
end
local c = read_chunk(id)
if not c then return did end
local job = R .. 'job:' .. c.id
if c.out ~= tonumber(ARGV[4]) then
  c.out = tonumber(ARGV[4])
  say('%d rows on their way are counted', c.out)
end
if call('EXISTS', job) == 0 then
  call('HSET', job, unpack(cjson.decode(ARGV[8])))
  say('given an RQ job')
end
for _, run in ipairs(cjson.decode(ARGV[6])) do
  if c.out == 0 or has_rows(c) or run[2] ~= c.id .. ':rows' then
    call('ZREM', R .. 'wip:' .. run[1], run[2])
    say('taken out of those that run')
  end
end
for _, other in ipairs(cjson.decode(ARGV[7])) do
  call('SADD', A .. 'stale:' .. other, c.id)
  say('its entry in queue %s is called stale', other)
end

local was = c.place
seat(c)
if c.place ~= was then say('put where its rows belong: %s', c.place) end
local registry, status = PLACE[c.place][1], PLACE[c.place][2]
local right = call('HGET', job, 'status') == status and not (registry == 'queue' and was == c.place and ARGV[5] == '0')
for _, name in ipairs(REGISTRIES) do
  right = right and (name == registry) == (call('ZSCORE', R .. name .. ':' .. c.queue, c.id) and true or false)
end
if registry == 'wip' then right = right and call('ZSCORE', R .. 'wip:' .. c.queue, c.id .. ':rows') and true or false end
if not right then
  if registry == 'queue' and ARGV[5] ~= '0' then
    for _, name in ipairs(REGISTRIES) do call('ZREM', R .. name .. ':' .. c.queue, c.id) end
    call('HSET', job, 'status', status)
  else
    place(c.id, c.queue, c.place, c.keep, {claim_id = 'rows'})
  end
  say('put into %s', registry == 'queue' and 'its lane' or 'what RQ calls ' .. registry)
end
if (c.place == 'sent' or c.place == 'cancelled') and call('EXISTS', A .. 'log:' .. c.id) == 1 and call('SADD', A .. 'unpacked', c.id) == 1 then
  say('its results will be packed')
end
return did
