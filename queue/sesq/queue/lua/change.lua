-- Changes a message's state, for a person, an event or the sync. After messages.lua; uses A blocks (hash:
-- see settle.lua).
--
-- ARGV[3] id   [4] JSON: the states it may be in   [5] the new state   [6] reason
--     [7] JSON {due (s), fields {name: value}, drop_content, unblock: SES may be asked again for what the
--     message waits for}
-- Returns {state before, state after}. The state after is '' if nothing has changed, because the state before
-- is not among those allowed, or because the batch is cancelled. Both are '' if there is no such message, or
-- if it is a row on its way.

local message, to, reason, wish = Message.read(ARGV[3]), ARGV[5], ARGV[6], cjson.decode(ARGV[7])
local was, queue, hold = message.state, message.queue, message.hold

local function main()
  if not was or message.packed then return {'', ''} end
  local allowed = false
  for _, state in ipairs(cjson.decode(ARGV[4])) do allowed = allowed or state == was end
  if not allowed then return {was, ''} end
  if WAITING[to] and Batch.stopped(message.batch) == 'cancelled' then return {'of a cancelled batch', ''} end

  local fields = {}
  for name, value in pairs(wish.fields or {}) do
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  if was == 'queued' and to ~= 'queued' then Job.leave_queue(queue, message.id) end
  if wish.unblock and hold then call('HDEL', A .. 'blocks', hold) end
  local reached = Message.transition(message, to, reason, fields, {due = wish.due})
  if wish.drop_content and reached == to then call('DEL', A .. 'content:' .. message.id) end
  if to == 'queued' then Job.wake(queue)
  elseif to == 'scheduled' then Job.wake_for_schedule(queue, message.id) end
  return {was, reached}
end
