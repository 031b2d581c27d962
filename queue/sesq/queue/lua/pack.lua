-- Replaces the log of a finished chunk by one small string. After jobs.lua.
--
-- ARGV[3] chunk   [4] length of the log that was packed   [5] the results, packed
-- Nothing changes if the log has grown since it was read. Returns 1 if there is nothing more to pack.

local id, packed, results = ARGV[3], tonumber(ARGV[4]), ARGV[5]
local log = A .. 'log:' .. id
local length, ttl = call('STRLEN', log), call('TTL', log)

local function main()
  if length ~= packed then return 0 end
  if length > 0 then
    call('SET', A .. 'results:' .. id, results)
    if ttl > 0 then call('EXPIRE', A .. 'results:' .. id, ttl) end
    call('DEL', log)
  end
  call('SREM', A .. 'unpacked', id)
  return 1
end
