-- Reap: what dead workers were sending is another worker's from now on, which says by settle.lua what became of it. After lifecycle.lua.
--
-- ARGV[3] most   [4] lease (s)   [5] claim_id   [6] worker
-- Returns {{id, started_at (s; '' where it has surely not left), attempts, on_unknown}, …} in the order in which they were granted.

shorten_leases(A .. 'leases', ARGV[3])
local found, claim_id = {}, ARGV[5]
for _, id in ipairs(call('ZRANGEBYSCORE', A .. 'leases', '-inf', now, 'LIMIT', 0, ARGV[3])) do
  local key = A .. 'message:' .. id
  local m = call('HMGET', key, 'state', 'started_at', 'attempts', 'on_unknown', 'queue', 'claim_id', 'packed')
  if m[1] ~= 'sending' then call('ZREM', A .. 'leases', id)
  else
    call('HSET', key, 'claim_id', claim_id, 'worker', ARGV[6])
    call('ZADD', A .. 'leases', now + tonumber(ARGV[4]) + #found * 1e-6, id)
    if not m[7] then
      local wip = R .. 'wip:' .. lane_of(m[5])
      call('ZREM', wip, id .. ':' .. (m[6] or ''))
      call('ZADD', wip, '+inf', id .. ':' .. claim_id)
    end
    found[#found + 1] = {id, m[2] or '', m[3] or '0', m[4] or ''}
  end
end
return found
