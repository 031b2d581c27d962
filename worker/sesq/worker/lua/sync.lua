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
--         without identities: they may not be listed, so SES judges them
-- Whatever SES counted above our ledger was sent by others on the same account. Returns JSON: the snapshot before;
-- nothing where the books were lost while SES was asked.

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

local others_now = 0
local fields = {'readable', o.readable, 'synced_at', now, 'listed', o.identities and 1 or 0, 'server', server}
if o.readable == 1 then
  for _, name in ipairs({'rate', 'daily', 'sent', 'production', 'sending', 'paused_because', 'enforcement'}) do
    fields[#fields + 1] = name
    fields[#fields + 1] = o[name]
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
return cjson.encode(before)
