-- Open: a batch begins, or goes on where its producer died. After lifecycle.lua and batch.lua; also
-- sesq:accounts (set: the names of all accounts).
--
-- ARGV[3] id   [4] template, packed   [5] stop:bounces   [6] stop:complaints (%, or ''): the last to be given hold
--     [7] s, before which none of it goes, or ''   [8…] the batch's hash: name, value, …
-- Returns {chunks that are here already, filled (0/1), state}

local id, key = ARGV[3], A .. 'batch:' .. ARGV[3]
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
local b = call('HMGET', key, 'chunks', 'filled', 'state')
if b[2] == '0' then call('HSET', key, 'stop:bounces', ARGV[5], 'stop:complaints', ARGV[6]) end
return {tonumber(b[1]), tonumber(b[2]), b[3]}
