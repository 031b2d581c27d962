-- Starts or stops a ramp for a person; lets it stand still or go on for the process that
-- counts bounces. After ramp.lua; also uses A token_waiters (zset: see token_waiters.lua), and
--   A policy:history   list   JSON {by, at (s), old {name: value}, new {name: value}}, the newest first
--
-- ARGV[3] put, stop, stand or go   [4] JSON of the ramp to put {from, to, days, grown}   [5] by
--     [6] why it stands still   [7] most to keep in the history   [8] the tenant of the ramp; '': it is the
--     account's
-- Returns 1 if that changed something, else 0.

local verb, given, by, why, most, tenant = ARGV[3], ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7]), ARGV[8]
local is_tenants = tenant ~= ''
local place = A .. (is_tenants and 'tenant_limits' or 'policy')
local field = is_tenants and tenant .. ':ramp' or 'ramp'
local stored = call('HGET', place, field)
local old = Ramp.read(stored or '')

-- Returns a copy of a ramp as it is now. If it is started later, it goes on from there.
local function as_of_now(ramp)
  if not ramp then return nil end
  local copy = {}
  for name, value in pairs(ramp) do copy[name] = value end
  copy.grown = Ramp.grown(ramp)
  copy.at = ramp.at and now()
  return copy
end

local function put()
  local ramp = Ramp.read(given)
  if not ramp then return nil end
  ramp.began, ramp.at = tonumber(ramp.began) or now(), now()
  ramp.since, ramp.why = nil, nil
  return ramp
end

local function stand()
  local ramp = as_of_now(old)
  ramp.at, ramp.since, ramp.why = nil, now(), why
  return ramp
end

local function go()
  local ramp = as_of_now(old)
  ramp.at, ramp.since, ramp.why = now(), nil, nil
  return ramp
end

local function write(new)
  local before = as_of_now(old)
  if new then call('HSET', place, field, cjson.encode(new)) else call('HDEL', place, field) end
  local entry = {by = by, at = now(), old = {ramp = before or cjson.null}, new = {ramp = new or cjson.null}}
  entry.tenant = is_tenants and tenant or nil
  call('LPUSH', A .. 'policy:history', cjson.encode(entry))
  call('LTRIM', A .. 'policy:history', 0, most - 1)
  call('DEL', A .. 'token_waiters', A .. 'token_waiters:bulk') -- their times are by the old limits
  if is_tenants then
    Share.end_rests(tenant)
    local rate, daily = read(place, tenant .. ':rate', tenant .. ':daily')
    if new or rate or daily then call('HSETNX', place, tenant .. ':since', now())
    else call('HDEL', place, tenant .. ':since') end
  end
  Job.publish('policy')
  return 1
end

local function main()
  local new = verb == 'put' and put()
  if verb == 'stand' and old and old.at and Ramp.day(old) < old.days then new = stand()
  elseif verb == 'go' and old and not old.at then new = go() end
  if new or verb == 'stop' and stored then return write(new) end
  return 0
end
