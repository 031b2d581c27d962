-- Sync: writes down what SES says of the account. After lifecycle.lua and gate.lua; also
--   A identities   hash    identity -> 1 verified, 0 not yet
--   A line         zset    see claim.lua
--
-- ARGV[3] JSON {rate (recipients/s), daily (recipients/24 h; -1 unlimited), sent (recipients in the last 24 h),
--               production, sending, readable (0/1), paused_because, enforcement, identities {name: 0/1}}
--         readable 0: the account may not be read; nothing else is given, and the configured limits count
--         booked: what of our ledger SES had surely counted when it was asked (recipients); the whole of it if not given
--         asked: when SES was (s)
--         books: ours as they were then; if they have been lost since, SES's number says too little
--         on_restore: hold or send what was queued before a restored backup
--         without identities: they may not be listed, so SES judges them
-- Whatever SES counted above our ledger was sent by others on the same account. Returns JSON: the snapshot before;
-- nothing where the books were lost while SES was asked.

local DAY, GROWTH, MOST_BATCHES = 86400, 0.1, 1000 -- s; share by which others may send more than before; the newest so many are paused
local o = cjson.decode(ARGV[3])
if o.books and o.books ~= books then return false end
local flat, before = call('HGETALL', A .. 'snapshot'), {}
for i = 1, #flat, 2 do before[flat[i]] = flat[i + 1] end

-- An answer that was asked for before SES refused all mail knows nothing of that.
local paused_at = tonumber(before.paused_at) or 0
if o.sending == 1 and paused_at > (o.asked or now) and paused_at <= now then -- else the clock was set back since
  o.sending, o.paused_because = 0, before.paused_because
end

-- What has flowed so far has flowed at the old rate.
level, flows = tokens(), now
charge(0, now)
-- On a server that may have lost the last claims the buckets start from nothing, as new ones do.
if before.server ~= server then level, ses_level = math.min(level, 0), math.min(ses_level, 0) end

-- What SES counts beyond our ledger, and the most of that in the last day: so much is what others send on the account.
local beyond = o.readable == 1 and math.max(0, o.sent - total) or 0
local most, most_at = tonumber(before.beyond) or tonumber(before.others) or 0, tonumber(before.beyond_at) or 0
local last = tonumber(before.synced_at) or now
if beyond >= most or now - most_at > DAY then before.beyond, before.beyond_at = beyond, now
else before.beyond, before.beyond_at = most, most_at end

-- When this run of the Redis server began, in whole seconds (s).
local uptime = tonumber(string.match(type(about) == 'string' and about or '', 'uptime_in_seconds:(%d+)')) or 0
-- Another run of the Redis server that knows less than SES does, or that has last seen SES longer ago than SES's count goes back:
-- a backup was restored, or a crash has lost what was written last. Returns before when what was queued may have been sent (s), or nil.
local function lost_since()
  if before.server ~= server and (now - last > DAY or beyond > most * (1 + GROWTH)) then return math.max(now - uptime, last) end
end
-- The same for an account that was never synced: such a backup has sent nothing itself, so what SES counts was sent after it, or by
-- others. What has waited for over a day may have been sent even where SES counts nothing.
local function waits_since_before(at)
  for _, key in ipairs({'state:queued', 'state:scheduled', 'batches'}) do
    local since = tonumber(call('ZRANGE', A .. key, 0, 0, 'WITHSCORES')[2])
    if since and since < at then return true end
  end
end
local function sent_before_the_first_sync()
  local began = math.min(now - uptime - 1, beyond > 0 and now or now - DAY)
  return waits_since_before(began) and began or nil
end
local first
if o.on_restore == 'hold' and o.readable == 1 then first = (before.server and lost_since or sent_before_the_first_sync)() end
if first then
  local unexplained = (now - last > DAY or beyond <= most) and -1 or beyond - most
  call('HSET', A .. 'restored', 'before', first, 'at', now, 'unexplained', unexplained)
  call('HSET', A .. 'holds', 'restore', 'messages of before a restored backup, which may have been sent since that was made')
  for _, id in ipairs(call('ZREVRANGE', A .. 'batches', 0, MOST_BATCHES - 1)) do
    local b = call('HMGET', A .. 'batch:' .. id, 'state', 'created', 'starts_at')
    if (b[1] == 'running' or b[3]) and (tonumber(b[2]) or 0) < first then
      call('HDEL', A .. 'batch:' .. id, 'starts_at')
      call('HSET', A .. 'batch:' .. id, 'state', 'paused', 'reason', 'a backup of Redis was restored; some of it may have been sent since that was made')
    end
  end
end

local others_now = 0
local fields = {'readable', o.readable, 'synced_at', now, 'listed', o.identities and 1 or 0, 'server', server}
if o.readable == 1 then
  for _, name in ipairs({'rate', 'daily', 'sent', 'production', 'sending', 'paused_because', 'enforcement'}) do
    fields[#fields + 1] = name
    fields[#fields + 1] = o[name]
  end
  for _, name in ipairs({'beyond', 'beyond_at'}) do
    fields[#fields + 1] = name
    fields[#fields + 1] = before[name]
  end
  fields[#fields + 1] = 'others'
  others_now = math.max(0, o.sent - (o.booked or total))
  fields[#fields + 1] = others_now
else
  call('DEL', A .. 'snapshot')
end
call('HSET', A .. 'snapshot', unpack(fields))

if o.identities then
  call('DEL', A .. 'identities')
  for name, verified in pairs(o.identities) do call('HSET', A .. 'identities', name, verified) end
end
local changed = before.server ~= server or others_now < (tonumber(before.others) or 0)
for _, name in ipairs({'rate', 'daily', 'sending', 'readable', 'production'}) do
  changed = changed or o[name] ~= tonumber(before[name])
end
if changed then
  call('DEL', A .. 'line', A .. 'line:bulk')
  publish('policy')
end
before.restored = first and call('HGET', A .. 'restored', 'unexplained') or nil
return cjson.encode(before)
