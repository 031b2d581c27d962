-- Tell ramp: that of a tenant, as it stands now. After ramp.lua; see tenants.lua for A tenant_limits.
--
-- ARGV[3] tenant
-- Returns JSON of what Ramp.tell() tells; null if there is none.

local function main()
  local ramp = Ramp.read(call('HGET', A .. 'tenant_limits', ARGV[3] .. ':ramp') or '')
  return cjson.encode(Ramp.tell(ramp) or cjson.null)
end
