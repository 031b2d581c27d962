-- Take over: slices that dead workers left behind become those of a worker that will judge them. After lifecycle.lua; keys
-- in slice.lua.
--
-- ARGV[3] most   [4] lease (s)   [5] execution   [6] worker
-- Returns {{slice, chunk, start, end, posted, {rows settled already}}, …}

shorten_leases(A .. 'slices', ARGV[3])
local found = {}
for _, name in ipairs(call('ZRANGEBYSCORE', A .. 'slices', '-inf', now, 'LIMIT', 0, ARGV[3])) do
  local key, s = A .. 'slice:' .. name, {}
  local flat = call('HGETALL', key)
  for i = 1, #flat, 2 do s[flat[i]] = flat[i + 1] end
  if not s.chunk or call('EXISTS', A .. 'chunk:' .. s.chunk) == 0 or not (tonumber(s.start) and tonumber(s['end'])) then -- Redis has lost whom it was for
    call('DEL', key)
    call('ZREM', A .. 'slices', name)
  else
    call('HSET', key, 'execution', ARGV[5], 'worker', ARGV[6])
    call('ZADD', A .. 'slices', now + tonumber(ARGV[4]), name)
    local settled = {}
    for row = tonumber(s.start), tonumber(s['end']) - 1 do
      if s[tostring(row)] then settled[#settled + 1] = row end
    end
    found[#found + 1] = {name, s.chunk, tonumber(s.start), tonumber(s['end']), tonumber(s.posted) or tonumber(s['end']), settled}
  end
end
return found
