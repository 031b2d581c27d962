-- Describes the ramp of a tenant now. After ramp.lua; see tenants.lua for A tenant_limits.
--
-- ARGV[3] tenant
-- Returns the answer of Ramp.tell() as JSON; null if there is no ramp.

local function main()
  local ramp = Ramp.read(call('HGET', A .. 'tenant_limits', ARGV[3] .. ':ramp') or '')
  return cjson.encode(Ramp.tell(ramp) or cjson.null)
end
