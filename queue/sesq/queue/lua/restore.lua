-- Puts the RQ job of a message or a chunk where the record says, and writes the job anew if it is
-- gone. After messages.lua.
--
-- ARGV[3] id   [4] s: does nothing if the message has changed after this time
--     [5] 1: to the head of its lane, from where a stock RQ worker had taken it   [6…] RQ's job: name, value,
--     …
-- Returns 1 if the job was moved; 0 if it is where it should be, or needs nothing; 'canceled' if RQ was told
-- to cancel it; 'front' if a stock RQ worker had taken it, so that the caller has to call again with [5] = 1.

local id, unchanged_since, front = ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1'
-- so many entries at each end of a lane are searched; a scan did not find it elsewhere before
local NEAR = 1000
local job = R .. 'job:' .. id

local function stands_in(queue)
  local list = R .. 'queue:' .. queue
  if call('SISMEMBER', A .. 'stale:' .. queue, id) == 1 then return false end
  return call('LPOS', list, id, 'MAXLEN', NEAR) or call('LPOS', list, id, 'RANK', -1, 'MAXLEN', NEAR)
end

-- Calls a function with the key of each RQ registry in which the job may be: those of all lanes, and of its
-- own queue, if that is a tenant's: RQ's tools may put it there while it waits.
local function for_each_registry(own, visit)
  local lanes = 'sesq.' .. ARGV[1] .. '.'
  local queues = {lanes .. 'transactional', lanes .. 'bulk'}
  if own ~= Job.lane_of(own) then table.insert(queues, own) end
  for _, queue in ipairs(queues) do
    for _, name in ipairs(REGISTRIES) do visit(R .. name .. ':' .. queue, queue, name) end
  end
end

-- Removes the job from all registries: RQ's tools may have put it into those of another lane.
local function leave_all_registries(queue, state)
  for_each_registry(queue, function (key) call('ZREM', key, id) end)
  if call('EXISTS', job) == 1 then call('HSET', job, 'origin', Job.origin_of(queue, state)) end
end

local function renew_job(queue)
  call('HSET', job, unpack(ARGV, 6))
  call('PERSIST', job)
  call('SADD', R .. 'queues', R .. 'queue:' .. queue)
end

-- Whether the job has RQ's status and origin for that state, and is only in the registry where it should be.
local function is_shown(own, state)
  local status, origin = unpack(call('HMGET', job, 'status', 'origin'))
  local right = status == Job.status_of(state) and origin == Job.origin_of(own, state)
  for_each_registry(own, function (key, queue, name)
    local should = queue == Job.lane_of(own) and name == RQ_STATE[state]
    right = right and should == (call('ZSCORE', key, id) and true or false)
  end)
  return right
end

-- Puts the job of an ended message where it should be. A job that somebody has deleted stays deleted.
local function restore_ended(state, queue, keep, told)
  if not told or told == 'queued' or is_shown(queue, state) then return 0 end
  leave_all_registries(queue, state)
  Job.place(id, queue, state, keep, {})
  return 1
end

-- Corrects the job of a queued message that is in its lane. RQ's tools may have put messages of other
-- states there too: a claim removes those.
local function restore_in_lane(state, queue)
  if RQ_STATE[state] ~= 'queue' or is_shown(queue, state) then return 0 end
  leave_all_registries(queue, state)
  call('HSET', job, 'status', Job.status_of(state))
  call('PERSIST', job)
  return 1
end

local message = Message.read(id)
local chunk = not message.state and Chunk.read(id) or nil
local state, shown = message.state or chunk and chunk.place or '', chunk or message
local queue, registry, told = shown.queue, RQ_STATE[state], call('HGET', job, 'status')

local function main()
  if not registry or (tonumber(call('HGET', A .. 'message:' .. id, 'since')) or 0) > unchanged_since then
    return 0
  end
  if registry == 'wip' then return 0 end -- settling it corrects the job
  if ENDED[registry] then return restore_ended(state, queue, shown.keep, told) end
  if chunk and chunk.state ~= 'running' then return 0 end
  if told == 'canceled' and chunk then return 0 end
  if told == 'canceled' then
    leave_all_registries(queue, state) -- RQ may show it in another lane, where it was put by hand
    return 'canceled'
  end
  if stands_in(queue) then return restore_in_lane(state, queue) end
  if registry ~= 'queue' and is_shown(queue, state) then return 0 end
  if registry == 'queue' and not front and (told == 'started' or told == 'failed') then return 'front' end

  -- only RQ's registry has the time of the next attempt
  local due = call('ZSCORE', R .. 'scheduled:' .. Job.lane_of(queue), id) or now()
  if state == 'scheduled' then due = tonumber(message.send_at) or due end
  renew_job(queue)
  leave_all_registries(queue, state)
  if registry == 'queue' and not chunk then
    Message.transition(message, 'queued', 'its RQ job had been taken away', {}, {front = front})
  else Job.place(id, queue, state, shown.keep, {due = due, front = front}) end
  if registry == 'queue' then Job.wake(queue) end
  return 1
end
