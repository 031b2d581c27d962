-- Tell ramps: those of tenants, as they stand now. After ramp.lua; see tenants.lua for A tenant_limits.
--
-- ARGV[3…] tenants
-- Returns JSON: for each what Ramp.tell() tells, or null.

local function main()
  local told = {}
  for i = 3, #ARGV do
    local ramp = Ramp.read(call('HGET', A .. 'tenant_limits', ARGV[i] .. ':ramp') or '')
    told[i - 2] = Ramp.tell(ramp) or cjson.null
  end
  return cjson.encode(told)
end
