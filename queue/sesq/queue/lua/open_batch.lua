-- Open: a batch begins, or goes on where its producer died. After lifecycle.lua and batch.lua; also
-- sesq:accounts (set: the names of all accounts).
--
-- ARGV[3] id   [4] template, packed   [5] stop:bounces   [6] stop:complaints (%, or ''): the last to be given hold
--     [7] s, before which none of it goes, or ''   [8…] the batch's hash: name, value, …
-- Returns {chunks that are here already, filled (0/1), state}; -1 chunks where nobody can tell how many those are

local id, key = ARGV[3], A .. 'batch:' .. ARGV[3]
if call('EXISTS', key) == 0 and call('EXISTS', A .. 'template:' .. id, A .. 'chunk:' .. id .. '-0') > 0 then -- it is lost, and not new
  return {count_chunks(id) or -1, 0, state_of(id)}
end
if call('EXISTS', key) == 0 then
  call('HSET', key, 'state', 'running', 'reason', '', 'created', now, 'filled', 0, 'chunks', 0, 'jobs', 0, unpack(ARGV, 8))
  call('SET', A .. 'template:' .. id, ARGV[4])
  call('ZADD', A .. 'batches', now, id)
  call('SADD', 'sesq:accounts', ARGV[1])
  if (tonumber(ARGV[7]) or 0) > now then
    call('HSET', key, 'state', 'paused', 'reason', 'its time has not come', 'starts_at', ARGV[7])
    call('ZADD', A .. 'starting', ARGV[7], id)
  end
end
call('HSET', key, unpack(ARGV, 8)) -- the same as before, unless it was damaged
local filled = call('HGET', key, 'filled')
if filled == '0' then call('HSET', key, 'stop:bounces', ARGV[5], 'stop:complaints', ARGV[6]) end
return {count_chunks(id) or -1, tonumber(filled) or 0, state_of(id)}
