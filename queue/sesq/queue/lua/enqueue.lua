-- Queues messages of one lane: writes their records, RQ jobs and costs in one step. If a message was queued
-- before with the same idempotency key, it returns that message's id. After stream.lua; also, of
-- A = "sesq:<account>:" (see messages.lua for the others),
--   A idempotency:<digest of the key>   string   "<id> <digest of the content>"
-- and sesq:accounts (set: the names of all accounts).
--
-- ARGV[3] the RQ queue: a lane's, or a tenant's in it   [4] s that an idempotency key is kept
--     from [5] on, for each message: its id, its options, its content, the length of its record and of its
--     job, the name and value of each field of its record, and the same of its RQ job
-- The options are empty, or JSON {
--   due           s, before which it does not go   expires   s, after which it does not go
--   key, digest   the digests of the idempotency key and of the content, if there is a key
-- }
-- Returns an id for each message: an earlier one's if the key is known; {'conflict', id} if the key stands
-- for other content. An error means that none of these messages is queued. Callers give a hundred at most.

local queue, key_ttl, lane, list = ARGV[3], ARGV[4], Job.lane_of(ARGV[3]), R .. 'queue:' .. ARGV[3]
local written = {}                            -- {id, state, key}, also of a message that is half written
local entries = {queued = {}, scheduled = {}} -- state -> {since, id, …} of its set
local ready, due, expiring = {}, {}, {}       -- ids; {s, id, …}; {s, id, …}

local function add(list, score, id)
  list[#list + 1] = score
  list[#list + 1] = id
end

-- Reads the message whose arguments begin at that place of ARGV. `after` is the place of the next one.
local function read_message(place)
  local id, options, content, of_record, of_job = unpack(ARGV, place, place + 4)
  local new = options == '' and {} or cjson.decode(options)
  new.id, new.content, new.record = id, content, place + 5
  new.job = new.record + of_record
  new.after = new.job + of_job
  return new
end

local function write(new, key)
  local id, state, at = new.id, (new.due or 0) <= now() and 'queued' or 'scheduled', now_as_text()
  written[#written + 1] = {id = id, state = state, key = key}
  if key then call('SET', key, id .. ' ' .. new.digest, 'EX', key_ttl) end
  call('HSET', A .. 'message:' .. id, 'state', state, 'since', at, 'created', at, 'queue', queue,
    'history', '[' .. at .. ',"' .. state .. '",""]', unpack(ARGV, new.record, new.job - 1))
  call('SET', A .. 'content:' .. id, new.content)
  call('HSET', R .. 'job:' .. id, 'status', state, unpack(ARGV, new.job, new.after - 1))
  if state == 'queued' and queue ~= lane then call('HSET', R .. 'job:' .. id, 'origin', queue) end
  add(entries[state], at, id)
  Stream.tell({id = id, queue = queue}, '', state, '', {})
  if new.expires then add(expiring, new.expires, id) end
  if state == 'queued' then ready[#ready + 1] = id else add(due, new.due, id) end
  return id
end

-- Writes a message unless it is known. Returns the answer for the caller.
local function take(new)
  -- A client that got no answer may ask again: the message is then here, and may have gone.
  if call('EXISTS', A .. 'message:' .. new.id) == 1 then return new.id end
  local key = new.key and A .. 'idempotency:' .. new.key
  local known = key and call('GET', key)
  if not known then return write(new, key) end
  local first, digest = string.match(known, '^(%S+) (%S+)$')
  return digest == new.digest and first or {'conflict', first}
end

local function add_all(key, list) if #list > 0 then call('ZADD', key, unpack(list)) end end

-- Writes the sets of all messages. Returns the length of the queue, nil if nothing was added to it.
local function write_sets()
  for state, list in pairs(entries) do add_all(A .. 'state:' .. state, list) end
  add_all(A .. 'expiring', expiring)
  if queue == lane then call('SADD', R .. 'queues', list) end
  call('SADD', 'sesq:accounts', ARGV[1])
  add_all(R .. 'scheduled:' .. lane, due)
  if #ready == 0 then return nil end
  if queue ~= lane then Share.join(queue) end
  return call('RPUSH', list, unpack(ready))
end

-- Deletes what was written before a write failed, so that an error means that nothing is queued.
local function undo()
  for _, one in ipairs(written) do
    local keys = {A .. 'message:' .. one.id, A .. 'content:' .. one.id, R .. 'job:' .. one.id, one.key}
    for _, key in ipairs(keys) do redis.pcall('DEL', key) end
    for _, key in ipairs({A .. 'state:' .. one.state, A .. 'expiring', R .. 'scheduled:' .. lane}) do
      redis.pcall('ZREM', key, one.id)
    end
  end
end

local function main()
  local answers = {}
  local done, length = pcall(function ()
    local place = 5
    while ARGV[place] do
      local new = read_message(place)
      answers[#answers + 1], place = take(new), new.after
    end
    return #written > 0 and write_sets()
  end)
  if not done then
    undo()
    return redis.error_reply(type(length) == 'table' and length.err or length)
  end
  Stream.write()
  if length == #ready then Job.wake(queue) end
  for _, one in ipairs(written) do
    if one.state == 'scheduled' then Job.wake_if_first(queue, one.id) end
  end
  return answers
end

return main()
