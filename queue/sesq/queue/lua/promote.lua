-- Moves due messages and chunks from the schedule into their lanes, and ends expired messages. After
-- messages.lua.
--
-- ARGV[3] most to move   [4…] RQ queues
-- Messages that retry, and those that waited for a window, go to the head of their lane; others go to the
-- end.
-- Returns {number moved, seconds until the next is due or ''; 0 if there is more to move}

local most, queues = tonumber(ARGV[3]), {unpack(ARGV, 4)}
local moved, first, soonest = 0, nil, nil -- first: the first of the lanes into which something was moved

-- Ends a message that has expired, in whatever state it waits. One on its way or unknown stays as it
-- is.
local function end_if_expired(message)
  local expires = tonumber(message.expires_at)
  if not (WAITING[message.state or ''] and expires and expires <= now()) then
    call('ZREM', A .. 'expiring', message.id)
    return
  end
  if message.state == 'queued' then Job.leave_queue(message.queue, message.id) end
  Message.transition(message, 'expired', 'its time ran out before it could go', {}, {})
end

-- Moves a due message or chunk. Returns whether it is in its lane now.
local function promote_one(id, schedule)
  local message = Message.read(id)
  local state, chunk = message.state, nil
  if state == 'scheduled' or state == 'retrying' then
    local front = state == 'retrying' or message.batch ~= nil
    Message.transition(message, 'queued', 'due', {}, {front = front})
    return true
  end
  if not state then chunk = Chunk.read(id) end
  if chunk and chunk.place == 'scheduled' then Chunk.sync_job(chunk)
  else
    call('ZREM', schedule, id)
    Window.leave(id)
  end
  return chunk and chunk.place == 'queued'
end

local function promote_lane(queue)
  local schedule = R .. 'scheduled:' .. queue
  for _, id in ipairs(call('ZRANGEBYSCORE', schedule, '-inf', now(), 'LIMIT', 0, most)) do
    if promote_one(id, schedule) then
      moved = moved + 1
      if not first or Job.is_bulk(first) then first = queue end
    end
  end
  Write.sets()
  local _, due = unpack(call('ZRANGE', schedule, 0, 0, 'WITHSCORES'))
  if due then soonest = math.min(soonest or math.huge, tonumber(due)) end
end

local late = call('ZRANGEBYSCORE', A .. 'expiring', '-inf', now(), 'LIMIT', 0, most)

local function main()
  if #late == most then soonest = now() end
  for _, id in ipairs(late) do end_if_expired(Message.read(id)) end
  Write.sets()
  for _, queue in ipairs(queues) do promote_lane(queue) end
  if moved > 0 then Job.wake(first) end
  return {moved, soonest and string.format('%.3f', math.max(0, soonest - now())) or ''}
end
