-- Mend: what the record of a message says is written again wherever it follows from it. For the auditor; after lifecycle.lua and
-- batch.lua.
--
-- ARGV[3] id   [4] how often it stands in its own lane   [5] JSON [[queue, entry], …]: entries of those that run which are not its own
--     [6] JSON [queue, …]: lanes in which it stands and should not   [7] RQ's job as JSON [name, value, …], for one that has none
-- Returns what was done, in words; nothing where all agrees.

local id, key = ARGV[3], A .. 'message:' .. ARGV[3]
local m = call('HMGET', key, 'state', 'since', 'queue', 'hold', 'keep', 'claim_id', 'expires_at', 'send_at', 'created', 'batch', 'reason', 'packed')
local state, since, queue, hold, keep, job = m[1], m[2] or now, lane_of(m[3]), m[4] or '', tonumber(m[5]) or 3600, R .. 'job:' .. id
if not state or not PLACE[state] then return {} end
if m[12] then -- a row on its way has no more than its record and its lease
  return call('ZADD', A .. 'leases', 'NX', now + 60, id) == 1 and {'given a lease of a minute'} or {}
end
local did, ended, A_MINUTE = {}, ENDED[PLACE[state][1]], 60
local function say(...) did[#did + 1] = string.format(...) end

for other in pairs(PLACE) do
  if other ~= state and call('ZREM', A .. 'state:' .. other, id) == 1 then say('taken out of %s', other) end
end
if not call('ZSCORE', A .. 'state:' .. state, id) then
  call('ZADD', A .. 'state:' .. state, since, id)
  say('put among those that are %s', state)
end

-- a lease that runs out soon: whoever sends it renews it by settling it, and else it is judged
if state == 'sending' then
  if call('ZADD', A .. 'leases', 'NX', now + A_MINUTE, id) == 1 then say('given a lease of a minute') end
elseif call('ZREM', A .. 'leases', id) == 1 then say('its lease is ended') end

if state == 'held' and hold ~= '' then
  if call('ZADD', A .. 'hold:' .. hold, 'NX', m[9] or since, id) == 1 then say('put among those that wait for %s', hold) end
  if call('HSETNX', A .. 'holds', hold, m[11] or '') == 1 then say('the reason of %s is written again', hold) end
elseif hold ~= '' then
  call('HSET', key, 'hold', '')
  call('ZREM', A .. 'hold:' .. hold, id)
  if call('EXISTS', A .. 'hold:' .. hold) == 0 then call('HDEL', A .. 'holds', hold) end
  say('it waits for %s no longer', hold)
end

if call('EXISTS', job) == 0 and not ended then
  call('HSET', job, unpack(cjson.decode(ARGV[7])))
  say('given an RQ job')
end
for _, run in ipairs(cjson.decode(ARGV[5])) do
  if run[2] ~= id .. ':' .. (m[6] or '') or state ~= 'sending' then
    call('ZREM', R .. 'wip:' .. run[1], run[2])
    say('taken out of those that run')
  end
end
for _, other in ipairs(cjson.decode(ARGV[6])) do
  call('SADD', A .. 'stale:' .. other, id)
  say('its entry in queue %s is called stale', other)
end

local registry, status = PLACE[state][1], PLACE[state][2]
local right = call('HGET', job, 'status') == status
for _, name in ipairs(REGISTRIES) do
  local there = call('ZSCORE', R .. name .. ':' .. queue, id)
  right = right and (name == registry) == (there and true or false)
end
if registry == 'wip' then right = right and call('ZSCORE', R .. 'wip:' .. queue, id .. ':' .. (m[6] or '')) == 'inf' end
local absent = registry == 'queue' and ARGV[4] == '0'
if absent or not right then
  if registry == 'queue' and not absent then
    for _, name in ipairs(REGISTRIES) do call('ZREM', R .. name .. ':' .. queue, id) end
    call('HSET', job, 'status', status)
  else
    local due = state == 'scheduled' and tonumber(m[8] or '') or call('ZSCORE', R .. 'scheduled:' .. queue, id) or now
    place(id, queue, state, keep, {due = due, claim_id = m[6]})
  end
  say('put into %s', registry == 'queue' and 'its lane' or 'what RQ calls ' .. registry)
end

for _, kept in ipairs({key, A .. 'content:' .. id, job}) do
  local ttl = call('TTL', kept)
  if ended and ttl == -1 then
    call('EXPIRE', kept, keep)
    say('%s expires', kept)
  elseif not ended and ttl >= 0 then
    call('PERSIST', kept)
    say('%s expires no more', kept)
  end
end
if WAITING[state] and (tonumber(m[7] or '') or 0) > now and call('ZADD', A .. 'expiring', 'NX', m[7], id) == 1 then
  say('its end is looked for')
end
local bid = m[10]
if bid and call('EXISTS', A .. 'batch:' .. bid) == 1 and call('SADD', A .. 'spilled:' .. bid, id) == 1 then
  say('its batch knows of its record')
end
if #did > 0 and state == 'queued' then wake(queue) end
return did
