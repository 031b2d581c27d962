-- The limits: the smaller of SES's and ours; ours alone if it was forced, or if SES may not be asked. After
-- jobs.lua and ramp.lua.
--
-- Keys, A = "sesq:<account>:"
--   A policy      hash    what people set: rate, daily, burst, margin, reserve, paused, paused:bulk (why),
--                         force (the limits that may lie above SES's); for one with a time limit also
--                         <limit>:until (s), <limit>:for (the value until then) and force:for (as force, of
--                         those values); ramp: see ramp.lua
--   A configured  hash    the limits of sesq.toml; and window, the send window of bulk mail
--   A snapshot    hash    the account at SES: rate (recipients/s), daily (recipients/24 h, -1 unlimited)
--                         readable (0/1), sending (0/1), paused_because, others (of other senders in the
--                         last 24 h), paused_at (s: when SES last refused all mail), server (run id of the
--                         Redis server at that sync), production (0/1), sent (by SES's count),
--                         enforcement, synced_at (s), listed (1: identities may be listed)
-- A gate holds no limits, so a changed limit does not change the buckets.

local MARGIN = 0.002 -- more than the clocks of Redis and of SES drift apart

local FIELDS_OF_SNAPSHOT = {'rate', 'daily', 'readable', 'sending', 'others', 'server'}
function Limits.read_snapshot() return read_fields(A .. 'snapshot', FIELDS_OF_SNAPSHOT) end
function Limits.read_policy()
  local policy = read_hash(A .. 'configured')
  for name, value in pairs(read_hash(A .. 'policy')) do policy[name] = value end
  return policy
end
function Limits.is_for_a_time(policy, name)
  local till = tonumber(policy[name .. ':until'])
  return till and now() < till or false
end
function Limits.of_policy(policy, name)
  return policy[Limits.is_for_a_time(policy, name) and name .. ':for' or name]
end

-- Returns when the next limit that was set for a time ends (s).
function Limits.next_change(policy)
  local soonest = math.huge
  for name, value in pairs(policy) do
    local till = string.sub(name, -6) == ':until' and tonumber(value)
    if till and till > now() then soonest = math.min(soonest, till) end
  end
  return soonest
end

function Limits.forced_limits(policy)
  local forced = {}
  for _, field in ipairs({'force', 'force:for'}) do
    for name in string.gmatch(policy[field] or '', '%a+') do
      if Limits.is_for_a_time(policy, name) == (field == 'force:for') then forced[name] = true end
    end
  end
  return forced
end

-- Reads a limit of SES. SES may give any number: a huge one is no damage.
function Limits.of_ses(field, otherwise)
  local n = read_number(field or nil)
  return n and n == n and math.max(-1, math.min(n, FARTHEST)) or otherwise
end

-- Returns the reserve in recipients. It may be set in recipients, or in percent of the day.
function Limits.reserve_of(policy, daily)
  local reserve = Limits.of_policy(policy, 'reserve') or '0'
  if string.sub(reserve, -1) ~= '%' then return tonumber(reserve) or 0 end
  return daily < math.huge and math.floor(daily * (tonumber(string.sub(reserve, 1, -2)) or 0) / 100) or 0
end

-- Reads the limits. slow: the share of the rate that is withheld after a throttle. Returns a table:
--   rate, daily   recipients a second, and in 24 hours (math.huge: unlimited)
--   ramp, ceiling   the ramp (nil: there is none), and `daily` without it
--   grows_at      s: when the ramp next raises `daily`, by `grows_by` (recipients; `bulk_grows_by`: without
--                 the part that is kept for urgent mail)
--   pace, burst   of our bucket          ses_pace, ses_burst   of SES's, which it does not publish: one
--                 second's worth, at least one. Ours is half of it
--   reserve       recipients of the day that are kept for urgent mail       margin   share of the rate
--   changes_at    s: when a limit changes by itself
--   paused, bulk_paused    why, or ''          bulk_window   outside it no bulk mail goes; or ''
function Limits.read(snapshot, slow)
  local policy = Limits.read_policy()
  local forced, unasked = Limits.forced_limits(policy), snapshot.readable == '0'
  local function smaller(name, theirs)
    local ours = tonumber(Limits.of_policy(policy, name))
    if not ours then return theirs end
    if ours < 0 then ours = math.huge end -- an unlimited day
    return (forced[name] or unasked) and ours or math.min(ours, theirs)
  end
  local ses_rate, ses_daily = Limits.of_ses(snapshot.rate, 1), Limits.of_ses(snapshot.daily, 200)
  if ses_daily < 0 then ses_daily = math.huge end
  if ses_rate < 0 then ses_rate = 1e6 end -- unlimited; a finite number keeps the arithmetic simple
  local rate, ceiling = smaller('rate', ses_rate), smaller('daily', ses_daily)
  local ramp = policy.ramp and Ramp.read(policy.ramp)
  local daily, next_daily, grows_at = Ramp.limit(ramp, ceiling)
  local reserve = Limits.reserve_of(policy, daily)
  local judged_by = (forced.rate or unasked) and rate or ses_rate
  local margin = tonumber(Limits.of_policy(policy, 'margin')) or MARGIN
  local share, ses_burst = (1 - margin) * (1 - slow), math.max(1, judged_by)
  local burst = math.max(1, math.min(ses_burst, rate) / 2)
  local set_burst = tonumber(Limits.of_policy(policy, 'burst'))
  return {
    rate = rate, daily = daily, reserve = reserve, margin = margin, ramp = ramp, ceiling = ceiling,
    reserve_as_set = Limits.of_policy(policy, 'reserve') or '0', grows_at = grows_at,
    grows_by = next_daily - daily,
    bulk_grows_by = next_daily - daily + reserve - Limits.reserve_of(policy, next_daily),
    burst = set_burst and math.max(1, math.min(burst, set_burst)) or burst, ses_burst = ses_burst,
    -- the least pace keeps the waits finite for an account to which SES gives no rate
    pace = math.max(1e-6, rate * share), ses_pace = math.max(1e-6, judged_by * share),
    changes_at = math.min(grows_at, Limits.next_change(policy)),
    paused = Limits.of_policy(policy, 'paused') or '', bulk_paused = policy['paused:bulk'] or '',
    bulk_window = policy.window or '',
  }
end
