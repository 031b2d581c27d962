-- Keeps the limits that people set for tenants. After ledger.lua and shares.lua.
--
-- Keys, A = "sesq:<account>:"
--   A tenant_limits     hash     <tenant>:rate (recipients/s), <tenant>:daily (recipients/24 h),
--                                <tenant>:ramp (of its day: see ramp.lua), <tenant>:since (s: mail sent
--                                before is not in its ledger), <tenant>:paused (why its bulk mail waits). A
--                                missing field is no limit
--   A tenant:<name>     hash     while it is limited: level (tokens; negative is debt), at (s: the time
--                                from which tokens flow), minute (the newest of its ledger), total (its
--                                recipients)
--   A tenant_day:<name> string   its ledger, as A ledger
-- SES has no such limits: if these keys are lost, they begin anew. In Lua a tenant is a table of
--   name   bucket (see bucket.lua; nil: no limit)   daily (math.huge: no limit)   ledger (nil: no limit)
--   grows_at (s: when its ramp next raises `daily`)   is_paused (its bulk mail waits)

local BOOKS_KEPT = 2 * 86400 -- s: longer than anything in these keys counts
local opened = {}            -- name -> tenant; false: it has no limits

local function read_tenant(name)
  local rate, daily, grows, since, paused = read(A .. 'tenant_limits', name .. ':rate', name .. ':daily',
    name .. ':ramp', name .. ':since', name .. ':paused')
  local ramp = grows and Ramp.read(grows) or nil
  rate, daily = tonumber(rate), tonumber(daily)
  if not rate and not daily and not ramp and not paused then return false end
  local books = read_fields(A .. 'tenant:' .. name, {'level', 'at', 'minute', 'total'})
  local tenant, next_daily = {name = name, since = tonumber(since) or 0, is_paused = paused}, nil
  tenant.daily, next_daily, tenant.grows_at = Ramp.limit(ramp, daily and math.floor(daily) or math.huge)
  if next_daily <= tenant.daily then tenant.grows_at = math.huge end
  if rate then
    local burst = math.max(1, rate)
    tenant.bucket = {pace = math.max(1e-6, rate), burst = burst, level = tonumber(books.level) or burst,
      at = math.min(tonumber(books.at) or now(), now())}
  end
  if tenant.daily < math.huge then
    local key = A .. 'tenant_day:' .. name
    tenant.ledger = Ledger.open(tonumber(books.minute), tonumber(books.total), key)
  end
  return tenant
end

-- Returns the tenant of a queue if it is limited, else false.
function Tenant.of(queue)
  local name = string.sub(queue, #Job.lane_of(queue) + 2)
  if name == '' then return false end
  if opened[name] == nil then opened[name] = read_tenant(name) end
  return opened[name]
end

-- Returns how many recipients of a batch may go now.
function Tenant.room(tenant, day)
  local by_rate = tenant.bucket and math.floor(Bucket.tokens(tenant.bucket) + 1e-6) or math.huge
  return math.min(by_rate, day > 0 and tenant.ledger and tenant.daily - tenant.ledger.total or math.huge)
end

-- Returns when n recipients may go, `day` of which count towards the day (s); nil if they may go now.
function Tenant.ready_at(tenant, n, day)
  local at
  if tenant.bucket and not Bucket.enough(tenant.bucket, n) then at = Bucket.filled_at(tenant.bucket, n) end
  local beyond = tenant.ledger and day > 0 and tenant.ledger.total + day - tenant.daily or 0
  if beyond > 0 then
    local freed_at = Ledger.freed_at(tenant.ledger, beyond) or now() + SLOTS * 60
    at = math.max(at or 0, math.min(freed_at, tenant.grows_at))
  end
  return at
end

function Tenant.take(tenant, n, day)
  if tenant.bucket then Bucket.draw(tenant.bucket, n) end
  if tenant.ledger and day > 0 then Ledger.count(tenant.ledger, day) end
end

-- Refunds what a message of that queue took at a time (s).
function Tenant.refund(queue, rate, day, at)
  local tenant = rate + day > 0 and Tenant.of(queue)
  if not tenant or at <= tenant.since then return end
  if tenant.bucket then Bucket.refund(tenant.bucket, rate) end
  local ledger, minute = tenant.ledger, math.floor(at / 60)
  if ledger and day > 0 and ledger.minute - minute < SLOTS then Ledger.uncount(ledger, minute, day) end
  Share.end_rests(tenant.name)
end

local function close(tenant)
  local key, bucket, ledger = A .. 'tenant:' .. tenant.name, tenant.bucket, tenant.ledger
  if bucket then call('HSET', key, 'level', bucket.level, 'at', string.format('%.6f', bucket.at)) end
  if ledger then
    Ledger.close(ledger)
    call('HSET', key, 'minute', ledger.minute, 'total', ledger.total)
    call('EXPIRE', ledger.key, BOOKS_KEPT)
  end
  call('EXPIRE', key, BOOKS_KEPT)
end

-- Writes back the keys of all tenants that were read.
function Tenant.close_all()
  for _, tenant in pairs(opened) do if tenant then close(tenant) end end
end
