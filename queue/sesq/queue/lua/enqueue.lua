-- Enqueue: a message, its RQ job and its costs, in one step, or the id that its idempotency key already stands for.
-- After lifecycle.lua; also A idempotency:<digest of the key>   string "<id> <digest of the content>"
-- and sesq:accounts   set   the names of all accounts
--
-- ARGV[3] JSON {
--   id, queue        the message's id and its lane's RQ queue
--   due              s, where it is not to go before   expires   s, where it is not to go after
--   key, digest      of the idempotency key and of the content, where there is a key   key_ttl   s that it is kept
--   at               the time as RQ writes it
--   record           [name, value, …] of the message's record
-- }
-- ARGV[4] content   [5] RQ's job as JSON [name, value, …], with %id% for the id
-- Returns the message's id: another's where the key is known. {'conflict', id} where the key stands for other content.

local o = cjson.decode(ARGV[3])
local id, queue = o.id, o.queue
-- A client that got no answer may have asked again: the message is here, and may have gone since.
if call('EXISTS', A .. 'message:' .. id) == 1 then return id end
if o.key then
  local known = call('GET', A .. 'idempotency:' .. o.key)
  if known then
    local first, digest = string.match(known, '^(%S+) (%S+)$')
    if digest == o.digest then return first end
    return {'conflict', first}
  end
end

local state = (o.due or 0) <= now and 'queued' or 'scheduled'
local job = cjson.decode((string.gsub(ARGV[5], '%%id%%', id)))
local function write()
  if o.key then call('SET', A .. 'idempotency:' .. o.key, id .. ' ' .. o.digest, 'EX', o.key_ttl) end
  call('HSET', A .. 'message:' .. id, 'state', state, 'since', now, 'created', now, 'queue', queue, 'reason', '',
       'history', cjson.encode({now, state, ''}), unpack(o.record))
  call('SET', A .. 'content:' .. id, ARGV[4])
  call('ZADD', A .. 'state:' .. state, now, id)
  if o.expires then call('ZADD', A .. 'expiring', o.expires, id) end
  call('HSET', R .. 'job:' .. id, 'status', PLACE[state][2], 'created_at', o.at, 'enqueued_at', o.at, unpack(job))
  call('SADD', R .. 'queues', R .. 'queue:' .. queue)
  call('SADD', 'sesq:accounts', ARGV[1])
  if state == 'queued' then return call('RPUSH', R .. 'queue:' .. queue, id) end
  call('ZADD', R .. 'scheduled:' .. queue, o.due, id)
end

-- Takes back what was written before a write failed, so that an error means that nothing is queued.
local function undo()
  local keys = {A .. 'message:' .. id, A .. 'content:' .. id, R .. 'job:' .. id}
  if o.key then keys[#keys + 1] = A .. 'idempotency:' .. o.key end
  for _, key in ipairs(keys) do redis.pcall('DEL', key) end
  for _, key in ipairs({A .. 'state:' .. state, A .. 'expiring'}) do redis.pcall('ZREM', key, id) end
end

local done, answer = pcall(write) -- answer: the length of the lane where it went there, or the error
if not done then
  undo()
  return redis.error_reply(type(answer) == 'table' and answer.err or answer)
end
if state == 'scheduled' then wake_for_schedule(queue, id) elseif answer == 1 then wake(queue) end
return id
