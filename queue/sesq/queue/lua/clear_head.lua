-- Takes an entry that may not go now from the head of a lane, and puts its job where its state belongs. After
-- gate.lua.

local ROWS_ASIDE = 10    -- so many rows of a cancelled chunk are as much work as a message
local ASIDE_A_TURN = 0.1 -- recipients: what an entry that is moved aside counts in its queue's turn
local MOST_ASIDE = 100   -- entries that one claim moves aside: 1 to 5 ms of work
local Head = {aside = 0, unknown = {}} -- how many were moved aside; ids of jobs that are not sesq's

function Head.may_clear() return Head.aside < MOST_ASIDE end
function Head.count(n) Head.aside = Head.aside + n end

-- Moves an entry aside. It counts as a part of its queue's turn.
local function move_aside(queue)
  Job.drop_head(queue)
  Share.charge(queue, ASIDE_A_TURN)
  Head.count(1)
end

-- Removes the head of a queue, which may not be sent, and puts its job where its state belongs.
local function set_aside(message, queue)
  local stale = call('SISMEMBER', A .. 'stale:' .. queue, message.id) == 1
  move_aside(queue)
  if stale then return end
  if not message.state then Head.unknown[#Head.unknown + 1] = message.id
  elseif Gate.is_sendable(message) then
    Message.transition(message, 'expired', 'its time ran out before it could go', {}, {})
  elseif message.state ~= 'sending' then
    Job.place(message.id, message.queue, message.state, message.keep,
      {due = tonumber(message.send_at) or now()})
  end
end

-- Cancels or holds a row that has a record, because its batch is cancelled or paused.
local function stop_with_its_batch(message)
  if Batch.stopped(message.batch) == 'cancelled' then
    Message.transition(message, 'cancelled', Batch.read(message.batch, 'reason') or '', {}, {})
  else Message.hold_with_its_batch(message, {}) end
end

-- Takes the chunk at the head out of its lane if no row of it may go. Returns whether it did.
function Head.clear_chunk(chunk, queue)
  if chunk.queue == queue and chunk.place == 'queued' then
    local may_go = chunk.state == 'running' and not Window.opens_at(chunk.window)
    if may_go and Chunk.has_rows(chunk) then return false end
    Head.count(1 + Chunk.sync_job(chunk) / ROWS_ASIDE)
    return true
  end
  move_aside(queue)
  if chunk.queue == queue or chunk.place ~= 'queued' then
    Chunk.show(chunk, chunk.place, {})
  end
  return true
end

-- Takes the message at the head out of its lane if it may not be sent. Returns whether it did.
function Head.clear_message(gate, message, queue, spare)
  local expires = tonumber(message.expires_at)
  if message.state and Message.put_aside(message, {}) then move_aside(queue)
  elseif not Gate.is_sendable(message) or (expires and expires <= now())
      or (message.state ~= 'queued' and call('SISMEMBER', A .. 'stale:' .. queue, message.id) == 1) then
    set_aside(message, queue)
  elseif Gate.may_have_gone(message) then
    move_aside(queue)
    Gate.hold_after_restore(message)
  elseif Batch.stopped(message.batch) then
    move_aside(queue)
    stop_with_its_batch(message)
  elseif Message.window_of(message) then
    move_aside(queue)
    Message.wait_for_window(message)
  elseif tonumber(message.day) > math.max(1, gate.limits.daily - spare) then
    move_aside(queue)
    Gate.hold_as_too_large(message, gate.limits.daily - spare)
  elseif message.queue ~= queue and Job.lane_of(message.queue) == queue then
    move_aside(queue) -- RQ's tools put a tenant's job into the lane's queue
    Job.enter_queue(message.queue, message.id, true)
  else return false end
  return true
end
