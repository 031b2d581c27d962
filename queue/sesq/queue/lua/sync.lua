-- Writes SES's description of the account. After gate.lua; also
--   A identities      hash    identity -> 1 verified, 0 not yet, 2 borrowed from another account
--   A token_waiters   zset    see claim.lua
--
-- ARGV[3] JSON {rate (recipients/s), daily (recipients/24 h; -1 unlimited), sent (recipients in the last 24
--               h), production, sending, readable (0/1), paused_because, enforcement,
--               identities {name: 0/1/2}}
--         readable     0: the account may not be read; nothing else is given, and the configured limits count
--         asked        when SES was asked (s)
--         booked       recipients of our ledger that SES had surely counted at that time; not given: all
--         books        the id of the gate's data at that time; if they were lost since, nothing is written
--         on_restore   "hold" or "send" mail that was queued before a restored backup
--         identities   not given: they may not be listed, so SES judges them
-- Recipients that SES counts beyond our ledger are of other senders on the account. Returns JSON: the
-- snapshot as it was before; nothing if the gate's data was lost while SES was asked.

local DAY, GROWTH = 86400, 0.1 -- s; share by which other senders may send more than before
local MOST_BATCHES = 1000      -- so many of the newest are paused after a restore
local SINCE_BACKUP = 'which may have been sent since that was made'
local told, before, another_server, last = cjson.decode(ARGV[3]), nil, nil, nil

local function read_before()
  before = read_hash(A .. 'snapshot')
  another_server = before.server ~= Server.run_id()
  last = tonumber(before.synced_at) or now()
end

-- Keeps the note that SES refuses all mail, if SES was asked about the account before it began to refuse.
local function remember_refusal()
  local paused_at = tonumber(before.paused_at) or 0
  -- a paused_at in the future is from before the clock was set back
  if told.sending == 1 and paused_at > (told.asked or now()) and paused_at <= now() then
    told.sending, told.paused_because = 0, before.paused_because
  end
end

-- Counts the tokens up to now at the old rate. If this server may have lost the last claims, the bucket
-- starts empty, as a new one does.
local function settle_bucket(bucket)
  Bucket.draw(bucket, 0)
  if another_server then bucket.level = math.min(bucket.level, 0) end
end

-- Returns how many recipients SES counts beyond our ledger, and the most that it did in the last day: others
-- on the account send so many. Keeps the greater number, with its time.
local function measure_others(gate)
  local beyond = told.readable == 1 and math.max(0, told.sent - gate.ledger.total) or 0
  local most = tonumber(before.beyond) or tonumber(before.others) or 0
  local most_at = tonumber(before.beyond_at) or 0
  if beyond >= most or now() - most_at > DAY then before.beyond, before.beyond_at = beyond, now()
  else before.beyond, before.beyond_at = most, most_at end
  return beyond, most
end

-- After a backup was restored ---------------------------------------------------------------------

-- The next functions return a time (s), or nil: mail that was queued before it may have been sent since the
-- backup was made.

-- Returns when this run of the Redis server began, in whole seconds (s).
local function server_began() return now() - (tonumber(Server.about('uptime_in_seconds:(%d+)')) or 0) end

-- For an account that was synced before. A backup was restored, or a crash lost the last writes, if this is
-- another run of the Redis server, and SES counts more than the ledger and other senders explain, or the last
-- sync is over a day ago (SES's count goes back one day).
local function lost_since(beyond, most)
  if another_server and (now() - last > DAY or beyond > most * (1 + GROWTH)) then
    return math.max(server_began(), last)
  end
end

-- For an account that was never synced. Nothing was sent before such a backup was made, so what SES counts
-- was sent after that, or by others. Mail that has waited for over a day may have been sent although SES
-- counts nothing.
local function sent_before_the_first_sync(beyond)
  local began = math.min(server_began() - 1, beyond > 0 and now() or now() - DAY)
  for _, key in ipairs({'state:queued', 'state:scheduled', 'batches'}) do
    local _, since = unpack(call('ZRANGE', A .. key, 0, 0, 'WITHSCORES'))
    if since and tonumber(since) < began then return began end
  end
end

local function pause_batches(first)
  for _, bid in ipairs(call('ZREVRANGE', A .. 'batches', 0, MOST_BATCHES - 1)) do
    local state, starts_at, created = Batch.read(bid, 'state', 'starts_at', 'created')
    if (state == 'running' or starts_at) and (tonumber(created) or 0) < first then
      call('HDEL', Batch.key(bid), 'starts_at')
      call('ZREM', A .. 'starting', bid)
      Batch.set(bid, 'state', 'paused', 'reason',
        'a backup of Redis was restored; some of it may have been sent since that was made')
    end
  end
end

-- If a backup was restored, notes that mail queued before is to be held, and pauses batches. Returns how many
-- recipients SES counts that are unknown here (-1: nobody can tell), or nil if nothing is to be held.
local function hold_what_was_restored(beyond, most)
  if told.on_restore ~= 'hold' or told.readable ~= 1 or before.server == BOOKS_LOST then return nil end
  local first
  if before.server then first = lost_since(beyond, most) else first = sent_before_the_first_sync(beyond) end
  if not first then return nil end
  local unexplained = (now() - last > DAY or beyond <= most) and -1 or beyond - most
  call('HSET', A .. 'restored', 'before', first, 'at', now(), 'unexplained', unexplained)
  call('HSET', A .. 'holds', 'restore', 'messages of before a restored backup, ' .. SINCE_BACKUP)
  pause_batches(first)
  return tostring(unexplained)
end

-- Writing -----------------------------------------------------------------------------------------

local function write_snapshot(others)
  local fields = {'readable', told.readable, 'synced_at', now(), 'listed', told.identities and 1 or 0,
    'server', Server.run_id()}
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

-- Whether workers that wait by the old limits have to ask again.
local function is_news(others)
  local changed = another_server or others < (tonumber(before.others) or 0)
  for _, name in ipairs({'rate', 'daily', 'sending', 'readable', 'production'}) do
    changed = changed or told[name] ~= tonumber(before[name])
  end
  return changed
end

local function sync(gate)
  if told.books and told.books ~= Gate.name_of_books(gate) then return false end
  read_before()
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
    Job.publish('policy')
  end
  before.restored = unexplained
  return cjson.encode(before)
end

local function main() return with_gate(sync) end
