-- Pauses, resumes or cancels a batch, for a person or the worker. After messages.lua.
--
-- ARGV[3] id   [4] pause, resume or cancel   [5] reason
-- Afterwards unpark.lua puts its parked chunks back, some at a time. A batch that waits for its time has
-- the state paused. If a person pauses it too, it stays paused after that time.
-- Returns the state that it was in ('starting': it waited for its time); '' if there is no such batch.
-- Nothing has changed if that state does not allow the action. A cancelled batch can be cancelled again,
-- because the process that cancelled it may have died before it had cancelled its messages.

local bid, action, reason = ARGV[3], ARGV[4], ARGV[5]
local FROM = {pause = {running = true}, resume = {paused = true},
  cancel = {running = true, paused = true, cancelled = true}}
local TO = {pause = 'paused', resume = 'running', cancel = 'cancelled'}

local function main()
  if call('EXISTS', Batch.key(bid)) == 0 then return '' end
  local was = Batch.state_of(bid)
  local state, starts, waiting, queue = Batch.read(bid, 'state', 'starts_at', 'n:waiting',
    'queue')
  if not FROM[action][was] and not (action == 'pause' and starts) then return was end

  if starts then
    call('HDEL', A .. 'batch:' .. bid, 'starts_at')
    call('ZREM', A .. 'starting', bid)
  end
  if state ~= TO[action] or starts then Batch.set(bid, 'state', TO[action], 'reason', reason) end
  if action == 'cancel' then Batch.adjust_counts(bid, 'waiting', 'cancelled', tonumber(waiting) or 0) end
  if action == 'resume' then Batch.acknowledge(bid) end
  if action ~= 'pause' then
    Batch.judge(bid)
    Job.wake(queue)
  end
  return starts and 'starting' or was
end
