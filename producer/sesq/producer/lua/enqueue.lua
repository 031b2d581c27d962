-- Enqueue: a message, its RQ job and its costs, in one step, or the id that its idempotency key already stands for.
-- After lifecycle.lua; also A idempotency:<digest of the key>   string "<id> <digest of the content>"
--
-- ARGV[3] id   [4] RQ queue   [5] due (s), '' for now   [6] content
--     [7] digest of the idempotency key, '' for none   [8] digest of the content   [9] s that the key is kept
--     [10] n: how many of the following belong to the record   [11…10+n] name, value, …   [11+n…] RQ's job: name, value, …
-- Returns the message's id: another's where the key is known. {'conflict', id} where the key stands for other content.

local id, queue, due, n = ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[10])
if ARGV[7] ~= '' then
  local known = call('GET', A .. 'idempotency:' .. ARGV[7])
  if known then
    local first, digest = string.match(known, '^(%S+) (%S+)$')
    if digest == ARGV[8] then return first end
    return {'conflict', first}
  end
  call('SET', A .. 'idempotency:' .. ARGV[7], id .. ' ' .. ARGV[8], 'EX', ARGV[9])
end

local state = (due == '' or tonumber(due) <= now) and 'queued' or 'scheduled'
local registry = PLACE[state]
call('HSET', A .. 'message:' .. id, 'state', state, 'since', now, 'created', now, 'queue', queue, 'reason', '',
     'history', cjson.encode({now, state, ''}), unpack(ARGV, 11, 10 + n))
call('SET', A .. 'content:' .. id, ARGV[6])
call('ZADD', A .. 'state:' .. state, now, id)
call('HSET', R .. 'job:' .. id, 'status', registry[2], unpack(ARGV, 11 + n))
call('SADD', R .. 'queues', R .. 'queue:' .. queue)
call('SADD', 'sesq:accounts', ARGV[1])
if state == 'scheduled' then
  call('ZADD', R .. 'scheduled:' .. queue, due, id)
elseif call('RPUSH', R .. 'queue:' .. queue, id) == 1 then
  wake()
end
return id
