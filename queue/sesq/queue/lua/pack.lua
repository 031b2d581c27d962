-- Pack: the log of a chunk that is done becomes one small string. After lifecycle.lua.
--
-- ARGV[3] chunk   [4] length of the log that was packed   [5] the results, packed
-- Nothing changes where the log has grown since. Returns 1 where there is nothing more to pack.

local id = ARGV[3]
local length = call('STRLEN', A .. 'log:' .. id)
if length ~= tonumber(ARGV[4]) then return 0 end
if length > 0 then
  local ttl = call('TTL', A .. 'log:' .. id)
  call('SET', A .. 'results:' .. id, ARGV[5])
  if ttl > 0 then call('EXPIRE', A .. 'results:' .. id, ttl) end
  call('DEL', A .. 'log:' .. id)
end
call('SREM', A .. 'unpacked', id)
return 1
