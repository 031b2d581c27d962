-- Change: a person, or the worker, pauses, resumes or cancels a batch. After messages.lua.
--
-- ARGV[3] id   [4] pause, resume or cancel   [5] reason
-- Its parked chunks come back by unpark.lua, some at a time. One that waits for its time is paused already: a
-- person's pause keeps it beyond that time. Returns the state it was in, or 'starting' where it waited for
-- its time; nothing has changed where that does not allow it. '' where there is no such batch.
-- What is cancelled can be cancelled again: whoever did it may have died before its messages were taken back.

local bid, action, reason = ARGV[3], ARGV[4], ARGV[5]
local FROM = {pause = {running = true}, resume = {paused = true},
  cancel = {running = true, paused = true, cancelled = true}}
local TO = {pause = 'paused', resume = 'running', cancel = 'cancelled'}
if call('EXISTS', key_of_batch(bid)) == 0 then return '' end
local was, state, starts, waiting, queue = state_of(bid), read_batch(bid, 'state', 'starts_at', 'n:waiting',
  'queue')
if not FROM[action][was] and not (action == 'pause' and starts) then return was end

if starts then
  call('HDEL', A .. 'batch:' .. bid, 'starts_at')
  call('ZREM', A .. 'starting', bid)
end
if state ~= TO[action] or starts then set_batch(bid, 'state', TO[action], 'reason', reason) end
if action == 'cancel' then adjust_counts(bid, 'waiting', 'cancelled', tonumber(waiting) or 0) end
if action == 'resume' then acknowledge(bid) end
if action ~= 'pause' then
  judge_batch(bid)
  wake(queue)
end
return starts and 'starting' or was
