-- Enqueue: writes a message, its RQ job and its costs in one step; or returns the id of the message that was
-- queued before with the same idempotency key. After jobs.lua; also, of A = "sesq:<account>:" (see
-- messages.lua for the others),
--   A idempotency:<digest of the key>   string   "<id> <digest of the content>"
-- and sesq:accounts (set: the names of all accounts).
--
-- ARGV[3] JSON {
--   id, queue        the message's id and its lane's RQ queue
--   due              s, where it is not to go before   expires   s, where it is not to go after
--   key, digest      of the idempotency key and of the content, where there is a key   key_ttl   s that it is
--                    kept
--   at               the time as RQ writes it
--   record           [name, value, …] of the message's record
-- }
-- ARGV[4] content   [5] RQ's job as JSON [name, value, …], with %id% for the id
-- Returns the message's id: another's where the key is known. {'conflict', id} where the key stands for other
-- content.

local new, content, job = cjson.decode(ARGV[3]), ARGV[4], ARGV[5]
local id, queue, state = new.id, new.queue, (new.due or 0) <= now() and 'queued' or 'scheduled'
local known_key = new.key and A .. 'idempotency:' .. new.key

-- Writes it down; returns the length of its lane, where it went there.
local function write()
  if known_key then call('SET', known_key, id .. ' ' .. new.digest, 'EX', new.key_ttl) end
  call('HSET', A .. 'message:' .. id, 'state', state, 'since', now(), 'created', now(), 'queue', queue,
    'history', cjson.encode({now(), state, ''}), unpack(new.record))
  call('SET', A .. 'content:' .. id, content)
  call('ZADD', A .. 'state:' .. state, now(), id)
  if new.expires then call('ZADD', A .. 'expiring', new.expires, id) end
  local fields = cjson.decode((string.gsub(job, '%%id%%', id)))
  call('HSET', R .. 'job:' .. id, 'status', Job.status_of(state), 'created_at', new.at, 'enqueued_at', new.at,
    unpack(fields))
  call('SADD', R .. 'queues', R .. 'queue:' .. queue)
  call('SADD', 'sesq:accounts', ARGV[1])
  if state == 'queued' then return call('RPUSH', R .. 'queue:' .. queue, id) end
  call('ZADD', R .. 'scheduled:' .. queue, new.due, id)
end

-- Takes back what was written before a write failed, so that an error means that nothing is queued.
local function undo()
  for _, key in ipairs({A .. 'message:' .. id, A .. 'content:' .. id, R .. 'job:' .. id, known_key}) do
    redis.pcall('DEL', key)
  end
  for _, key in ipairs({A .. 'state:' .. state, A .. 'expiring'}) do redis.pcall('ZREM', key, id) end
end

local function main()
  -- A client that got no answer may have asked again: the message is here, and may have gone since.
  if call('EXISTS', A .. 'message:' .. id) == 1 then return id end
  local known = known_key and call('GET', known_key)
  if known then
    local first, digest = string.match(known, '^(%S+) (%S+)$')
    return digest == new.digest and first or {'conflict', first}
  end
  local done, answer = pcall(write) -- answer: the length of the lane, or the error
  if not done then
    undo()
    return redis.error_reply(type(answer) == 'table' and answer.err or answer)
  end
  if state == 'scheduled' then Job.wake_for_schedule(queue, id) elseif answer == 1 then Job.wake(queue) end
  return id
end
