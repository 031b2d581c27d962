-- The rules of the gate: limits, token bucket, rolling day. Put before the scripts that ask or change them; after
-- lifecycle.lua and bucket.lua.
--
-- Keys, A = "sesq:<account>:"
--   A policy      hash    what people set: rate, daily, burst, margin, reserve, paused, paused:bulk (why), force (the knobs that may lie above
--                         SES's); for a knob with a time limit also <knob>:until (s), <knob>:for (the value until then)
--                         and force:for (as force, of those values)
--   A configured  hash    the same knobs as sesq.toml starts them
--   A snapshot    hash    SES's words: rate (recipients/s), daily (recipients/24 h, -1 unlimited), readable (0/1),
--                         sending (0/1), paused_because, others (recipients by other senders in the last 24 h),
--                         paused_at (s: when SES last refused all mail), server (the run of the Redis server that it was written on),
--                         production (0/1), sent (by SES's count), enforcement, synced_at (s), listed (1: identities may be listed)
--   A gate        hash    our bucket: level (tokens; negative is debt), at (s: from when tokens flow);
--                         SES's, what it holds at the least: ses_level (tokens) at ses_at (s), on_way (recipients granted and not answered),
--                         folds_at (s: by then they have reached SES, though no answer comes), folded (s: what was granted before this
--                         was charged without an answer), folded_before (the same of the time before that); gathers ("<until (s)> <recipients> <queue or -> <id>": the mail for which tokens gather once our bucket is full);
--                         minute (the ledger's newest), total (recipients in the ledger),
--                         slow (share of the rate withheld after a throttle), slow_at (s), claims, throttles (how often),
--                         born (s: when these books were opened)
--   A ledger      string  1,442 counts, 4 bytes each, little-endian; minute m stands in slot m mod 1,442
--   A restored    hash    after a backup was restored: before (s: what was queued earlier may have been sent), at (s: when that was found),
--                         unexplained (recipients that SES counts and nobody here knows of; -1: the backup is too old to tell)
-- A token is a recipient. Amounts of the policy never stand in A gate, so a changed limit changes no balance.

local SLOTS, SLOW_HALF_LIFE = 1442, 60
local MARGIN = 0.002 -- more than the clocks of Redis and of SES drift apart
local policy = {}
for _, layer in ipairs({'configured', 'policy'}) do
  local flat = call('HGETALL', A .. layer)
  for i = 1, #flat, 2 do policy[flat[i]] = flat[i + 1] end
end
local function for_a_time(name)
  local till = tonumber(policy[name .. ':until'])
  return till and now < till
end
local changes_at = math.huge -- when the next limit that was set for a time runs out (s)
for name, till in pairs(policy) do
  if string.sub(name, -6) == ':until' and (tonumber(till) or 0) > now then changes_at = math.min(changes_at, tonumber(till)) end
end
local function knob(name)
  return policy[for_a_time(name) and name .. ':for' or name]
end

local seen = call('HMGET', A .. 'snapshot', 'rate', 'daily', 'readable', 'sending', 'paused_because', 'others', 'server')
local gate = call('HMGET', A .. 'gate', 'level', 'at', 'gathers', 'minute', 'total', 'slow', 'slow_at', 'born', 'ses_level', 'ses_at', 'on_way',
                  'folds_at', 'folded', 'folded_before')
local others = tonumber(seen[6]) or 0
if is_broken(gate[4]) or is_broken(gate[5]) then
  note_damage(A .. 'gate', 'minute or total is no number')
  lose_books()
end

-- Another server, or another run of it, may lack what was written last: after a fail-over, or a crash.
local about = redis.pcall('INFO', 'server')
local server = type(about) == 'string' and string.match(about, 'run_id:(%x+)') or ''
local born = gate[8] or string.format('%.6f', now)
local books = server .. '@' .. born -- whoever reads it twice knows whether the books were lost in between

-- Effective limits: the smaller of SES's and ours, or ours alone where it was forced or SES may not be asked.
local forced = {}
for _, field in ipairs({'force', 'force:for'}) do
  for name in string.gmatch(policy[field] or '', '%a+') do
    if (for_a_time(name) or false) == (field == 'force:for') then forced[name] = true end
  end
end
local function smaller(name, theirs)
  local ours = tonumber(knob(name))
  if not ours then return theirs end
  if ours < 0 then ours = math.huge end -- an unlimited day
  if forced[name] or seen[3] == '0' then return ours end
  return math.min(ours, theirs)
end
local function of_ses(field, otherwise) -- SES may give any number: a huge one is no damage
  local n = read_number(field or nil)
  return n and n == n and math.max(-1, math.min(n, FARTHEST)) or otherwise
end
local ses_rate, ses_daily = of_ses(seen[1], 1), of_ses(seen[2], 200)
if ses_daily < 0 then ses_daily = math.huge end
if ses_rate < 0 then ses_rate = 1e6 end -- unlimited, and still a number to reckon with
local rate, daily = smaller('rate', ses_rate), smaller('daily', ses_daily)
local slow = (tonumber(gate[6]) or 0) * 0.5 ^ (math.abs(now - (tonumber(gate[7]) or now)) / SLOW_HALF_LIFE) -- abs: clocks are set back
local margin = tonumber(knob('margin')) or MARGIN
local judged_by = (forced.rate or seen[3] == '0') and rate or ses_rate
local share = (1 - margin) * (1 - slow)
pace = math.max(1e-6, rate * share) -- of an account that SES gives no rate, the waits stay numbers
local ses_pace = math.max(1e-6, judged_by * share)

-- SES's burst is not published: one second's worth, at least one. Ours is half of it.
local ses_burst = math.max(1, judged_by)
burst = math.max(1, math.min(ses_burst, rate) / 2)
if tonumber(knob('burst')) then burst = math.max(1, math.min(burst, tonumber(knob('burst')))) end

local reserve = knob('reserve') or '0'
if string.sub(reserve, -1) == '%' then
  reserve = daily < math.huge and math.floor(daily * (tonumber(string.sub(reserve, 1, -2)) or 0) / 100) or 0
end
reserve = tonumber(reserve) or 0

-- token buckets --------------------------------------------------------------------------------------------------
-- What was said before the clock was set back counts as said now.
level, flows = tonumber(gate[1]) or 0, math.min(tonumber(gate[2]) or now, now)

-- Of SES's bucket we know what it holds at the least, however long a mail takes to it: a mail is charged when its answer is here,
-- and until then it is on its way. So what is there may go, less all that is on its way.
local JITTER = 0.5 -- s: within these a mail has reached SES, answered or not; where SES's burst is below two, within its lease
local ses_level, ses_at, on_way = tonumber(gate[9]) or 0, math.min(tonumber(gate[10]) or now, now), tonumber(gate[11]) or 0
local folds_at = math.min(tonumber(gate[12]) or now, now + LONGEST_LEASE)
local folded, folded_before = tonumber(gate[13]) or 0, tonumber(gate[14]) or 0
if folded > now then folded = now - 1 end
local function patience(lease) return ses_burst < 2 and lease or JITTER end
local function ses_tokens(at) return math.min(ses_burst, ses_level + math.max(0, at - ses_at) * ses_pace) end
local function charge(n, at) ses_level, ses_at = ses_tokens(at) - n, at end
if on_way > 0 and folds_at <= now then
  charge(on_way, folds_at)
  on_way, folded, folded_before = 0, folds_at, folded
end
local function spare_tokens() return ses_tokens(now) - on_way end

-- A mail to several that was refused is noted: {id, n, queue ('-': it is in none), till (s)}. Once our bucket is full, tokens gather
-- for it: nobody else takes any until it has gone, since while something is always on its way, SES's bucket is never surely full
-- enough for it. If it has not gone by `till`, others go for a while.
local GATHERED = 1.5 -- s
local waiting, gathers_again = nil, 0
local till, gathers_n, gathers_queue, gathers_id = string.match(gate[3] or '', '^([%d.]+) (%d+) (%S+) (.*)$')
till = tonumber(till or nil)
if till and now < till and till < now + 2 * LONGEST_LEASE then
  waiting = {id = gathers_id, n = tonumber(gathers_n), queue = gathers_queue, till = till}
elseif till and now >= till and now < till + GATHERED then gathers_again = till + GATHERED
else gate[3] = '' end
local function gathering() return tokens() >= burst - 1e-6 and waiting or nil end
local function end_gathering() waiting, gate[3] = nil, '' end

-- has_some: it has tokens that it did not use, so that it takes nothing of what gathers.
local function may_go(n, id, has_some)
  local first = gathering()
  return (not first or first.id == id or has_some) and enough(n) and spare_tokens() >= math.min(n, ses_burst) - 1e-6
end
-- When n recipients may go if nobody else takes a token, and all that is on its way were answered now (s).
local function ready_at(n, id)
  local spare, first = spare_tokens(), gathering()
  local function both(of) return math.max(filled_at(of), now + (math.min(of, ses_burst) - spare) / ses_pace) end
  if not first or first.id == id then return both(n) end
  return math.min(first.till, math.max(both(n), both(first.n) + first.n / pace))
end
local function gather_for(id, n, queue)
  if gathering() or now < gathers_again or math.min(n, ses_burst) <= 1 then return end
  waiting = {id = id, n = n, queue = queue, till = math.max(now, ready_at(n, id)) + GATHERED}
  gate[3] = string.format('%.6f %d %s %s', waiting.till, n, queue, id)
end
local function take(n, lease, id)
  draw(n)
  on_way, folds_at = on_way + n, math.max(folds_at, now + patience(lease))
  if waiting and waiting.id == id then end_gathering() end
end
-- n recipients whose tokens were taken at `at` (s) were not sent. Where they were charged unanswered, that is undone, if it can be
-- told what it changed.
local function not_sent(n, at)
  if at >= folded then on_way = math.max(0, on_way - n)
  elseif ses_at == folded and at >= folded_before then ses_level = ses_level + n end
end
-- Of tokens taken at `at` (s; nil where none are out), so many went to SES, which has answered, and so many were not used.
local function account(at, went, unused)
  if not at then return end
  if unused > 0 then
    refund(unused)
    not_sent(unused, at)
  end
  if went > 0 and at >= folded then
    on_way = math.max(0, on_way - went)
    charge(went, now)
  end
end

-- ledger ---------------------------------------------------------------------------------------------------------
local minute, total = tonumber(gate[4]), tonumber(gate[5]) or 0
local today = math.floor(now / 60)
local cells -- the ledger as it was read
local function cell(m)
  cells = cells or call('GET', A .. 'ledger') or ''
  local at = m % SLOTS * 4
  return #cells >= at + 4 and struct.unpack('<I4', cells, at + 1) or 0
end
-- A slot is used again 1,442 minutes later: by then all of it is over a day old, with a minute for what was on its way.
-- What stands in the slots of the minutes after `cleared` is of a day before.
local lost = not minute or today - minute >= SLOTS
local cleared = lost and today or minute
if lost then minute, total = today, 0 end
if today > minute then
  minute, total = today, 0
  for m = today - SLOTS + 1, cleared do total = total + cell(m) end
end

local function write(m, n)
  call('SETRANGE', A .. 'ledger', m % SLOTS * 4, struct.pack('<I4', n))
  cells = nil
end
local function clear_old_slots()
  if lost then call('DEL', A .. 'ledger') end
  for m = cleared + 1, minute do
    if cell(m) > 0 then write(m, 0) end
  end
  lost, cleared = false, minute
end
local function count(m, n)
  clear_old_slots()
  local at = m % SLOTS * 4
  local old = call('GETRANGE', A .. 'ledger', at, at + 3)
  old = #old == 4 and struct.unpack('<I4', old) or 0
  local new = math.max(0, old + n)
  if new ~= old then write(m, new) end
  total = total + new - old
end

-- When n more fit into the day for a lane that must leave `spare` (s), or nil where only other senders are in the way.
local function room_at(n, spare)
  local excess = total + others + n + spare - daily
  if excess <= 0 then return now end
  for m = minute - SLOTS + 1, lost and 0 or cleared do
    excess = excess - cell(m)
    if excess <= 0 then return (m + SLOTS) * 60 end
  end
end

-- Writes back what a script has changed. It is done at the end of each, whichever way that is (see scripts.py).
local function save()
  clear_old_slots()
  call('HSET', A .. 'gate', 'level', level, 'at', string.format('%.6f', flows), 'gathers', gate[3] or '', 'ses_level', ses_level,
       'ses_at', ses_at, 'on_way', on_way, 'folds_at', folds_at, 'folded', folded,
       'folded_before', folded_before, 'minute', minute, 'total', total, 'born', born)
end

-- Whether it may be sent, once its turn comes: where RQ's tools have queued it, also before it was due, it may not.
local SENDABLE = {queued = true, scheduled = true, retrying = true, held = true, failed = true, refused = true}
local function is_sendable(state, send_at)
  return SENDABLE[state or ''] and not (state == 'scheduled' and (tonumber(send_at) or 0) > now)
end

-- A message for more recipients than a whole day has would stand in everybody's way for ever. The next sync looks again.
local function hold_as_too_large(id, day, room, opts)
  local why = string.format('it is for %d recipients, and a whole day has room for %d', day, room)
  hold_back(id, 'day', 'messages for more recipients than a whole day has room for', now, why, {}, opts)
end

-- Whether bulk mail is paused, and this is a lane of it.
local function is_paused(queue)
  return (policy['paused:bulk'] or '') ~= '' and is_bulk(queue)
end

-- After a backup of Redis was restored: what was queued before that may have been sent since the backup was made. It waits for
-- an event of SES's, or for a person, who has then looked (A message:<id>, checked: s).
local function may_have_gone(created, checked)
  local before = tonumber(call('HGET', A .. 'restored', 'before') or nil)
  return before and (tonumber(created) or 0) < before and (tonumber(checked) or 0) < before
end
local function hold_after_restore(id, created, opts)
  local why = 'it was queued before a backup of Redis was restored, and may have been sent since that was made'
  hold_back(id, 'restore', 'messages of before a restored backup, which may have been sent since that was made', created, why, {}, opts)
end

-- Why nothing may go at all, or nil.
local function closed()
  if knob('paused') and knob('paused') ~= '' then return 'paused' end
  if not seen[3] or seen[7] ~= server or books_lost then return 'unsynced' end
  if seen[4] == '0' then return 'ses_paused' end
end
