-- Sync: writes down what SES says of the account. After gate.lua; also
--   A identities      hash    identity -> 1 verified, 0 not yet
--   A token_waiters   zset    see claim.lua
--
-- ARGV[3] JSON {rate (recipients/s), daily (recipients/24 h; -1 unlimited), sent (recipients in the last 24
--               h), production, sending, readable (0/1), paused_because, enforcement, identities {name: 0/1}}
--         readable 0: the account may not be read; nothing else is given, and the configured limits count
--         booked: what of our ledger SES had surely counted when it was asked (recipients); the whole of it
--         if not given asked: when SES was (s)
--         books: ours as they were then; if they have been lost since, SES's number says too little
--         on_restore: hold or send what was queued before a restored backup
--         without identities: they may not be listed, so SES judges them
-- Whatever SES counted above our ledger was sent by others on the same account. Returns JSON: the snapshot
-- before; nothing where the books were lost while SES was asked.

local DAY, GROWTH = 86400, 0.1 -- s; share by which others may send more than before
local MOST_BATCHES = 1000      -- the newest so many are paused after a restore
local SINCE_BACKUP = 'which may have been sent since that was made'
local told, before = cjson.decode(ARGV[3]), read_hash(A .. 'snapshot')
local another_server = before.server ~= server_run()
local last = tonumber(before.synced_at) or now()

-- An answer that was asked for before SES refused all mail knows nothing of that.
local function remember_refusal()
  local paused_at = tonumber(before.paused_at) or 0
  -- else the clock was set back since
  if told.sending == 1 and paused_at > (told.asked or now()) and paused_at <= now() then
    told.sending, told.paused_because = 0, before.paused_because
  end
end

-- What has flowed so far has flowed at the old rate. On a server that may have lost the last claims the
-- buckets start from nothing, as new ones do.
local function settle_bucket(bucket)
  draw(bucket, 0)
  if another_server then bucket.level = math.min(bucket.level, 0) end
end

-- What SES counts beyond our ledger, and the most of that in the last day before: so much is what others send
-- on the account. The greater is remembered, with its time.
local function measure_others(gate)
  local beyond = told.readable == 1 and math.max(0, told.sent - gate.ledger.total) or 0
  local most = tonumber(before.beyond) or tonumber(before.others) or 0
  local most_at = tonumber(before.beyond_at) or 0
  if beyond >= most or now() - most_at > DAY then before.beyond, before.beyond_at = beyond, now()
  else before.beyond, before.beyond_at = most, most_at end
  return beyond, most
end

-- After a backup was restored
-- --------------------------------------------------------------------------------------- The functions
-- return before when what was queued may have been sent since the backup was made (s), or nil.

-- When this run of the Redis server began, in whole seconds (s).
local function server_began() return now() - (tonumber(about_server('uptime_in_seconds:(%d+)')) or 0) end

-- Another run of the Redis server that knows less than SES does, or that has last seen SES longer ago than
-- SES's count goes back: a backup was restored, or a crash has lost what was written last.
local function lost_since(beyond, most)
  if another_server and (now() - last > DAY or beyond > most * (1 + GROWTH)) then
    return math.max(server_began(), last)
  end
end

-- The same for an account that was never synced: such a backup has sent nothing itself, so what SES counts
-- was sent after it, or by others. What has waited for over a day may have been sent even where SES counts
-- nothing.
local function sent_before_the_first_sync(beyond)
  local began = math.min(server_began() - 1, beyond > 0 and now() or now() - DAY)
  for _, key in ipairs({'state:queued', 'state:scheduled', 'batches'}) do
    local _, since = unpack(call('ZRANGE', A .. key, 0, 0, 'WITHSCORES'))
    if since and tonumber(since) < began then return began end
  end
end

local function pause_batches(first)
  for _, bid in ipairs(call('ZREVRANGE', A .. 'batches', 0, MOST_BATCHES - 1)) do
    local state, starts_at, created = read_batch(bid, 'state', 'starts_at', 'created')
    if (state == 'running' or starts_at) and (tonumber(created) or 0) < first then
      call('HDEL', A .. 'batch:' .. bid, 'starts_at')
      set_batch(bid, 'state', 'paused', 'reason',
        'a backup of Redis was restored; some of it may have been sent since that was made')
    end
  end
end

-- Holds what was queued before a restored backup; how much SES counts that nobody here knows of, nil where
-- none was.
local function hold_what_was_restored(beyond, most)
  if told.on_restore ~= 'hold' or told.readable ~= 1 then return nil end
  local first
  if before.server then first = lost_since(beyond, most) else first = sent_before_the_first_sync(beyond) end
  if not first then return nil end
  local unexplained = (now() - last > DAY or beyond <= most) and -1 or beyond - most
  call('HSET', A .. 'restored', 'before', first, 'at', now(), 'unexplained', unexplained)
  call('HSET', A .. 'holds', 'restore', 'messages of before a restored backup, ' .. SINCE_BACKUP)
  pause_batches(first)
  return tostring(unexplained)
end

-- What is written down
-- -------------------------------------------------------------------------------------------------
local function write_snapshot(others)
  local fields = {'readable', told.readable, 'synced_at', now(), 'listed', told.identities and 1 or 0,
    'server', server_run()}
  local function add(name, value)
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  if told.readable == 1 then
    local words = {'rate', 'daily', 'sent', 'production', 'sending', 'paused_because', 'enforcement'}
    for _, name in ipairs(words) do add(name, told[name]) end
    for _, name in ipairs({'beyond', 'beyond_at'}) do add(name, before[name]) end
    add('others', others)
  else
    call('DEL', A .. 'snapshot')
  end
  call('HSET', A .. 'snapshot', unpack(fields))
end

local function write_identities()
  if not told.identities then return end
  call('DEL', A .. 'identities')
  for name, verified in pairs(told.identities) do call('HSET', A .. 'identities', name, verified) end
end

-- Whether those who wait by the limits of before are to ask again.
local function is_news(others)
  local changed = another_server or others < (tonumber(before.others) or 0)
  for _, name in ipairs({'rate', 'daily', 'sending', 'readable', 'production'}) do
    changed = changed or told[name] ~= tonumber(before[name])
  end
  return changed
end

return with_gate(function (gate)
  if told.books and told.books ~= name_of_books(gate) then return false end
  remember_refusal()
  settle_bucket(gate.own)
  settle_bucket(gate.ses)
  local beyond, most = measure_others(gate)
  local unexplained = hold_what_was_restored(beyond, most)
  local others = told.readable == 1 and math.max(0, told.sent - (told.booked or gate.ledger.total)) or 0
  write_snapshot(others)
  write_identities()
  if is_news(others) then
    call('DEL', A .. 'token_waiters', A .. 'token_waiters:bulk')
    publish('policy')
  end
  before.restored = unexplained
  return cjson.encode(before)
end)
