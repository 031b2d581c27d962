-- Change: a person, or the worker, pauses, resumes or cancels a batch. After lifecycle.lua and batch.lua.
--
-- ARGV[3] id   [4] pause, resume or cancel   [5] reason
-- Its parked chunks come back by unpark.lua, some at a time. One that waits for its time is paused already: a person's pause
-- keeps it beyond that time. Returns the state it was in, or 'starting' where it waited for its time; nothing has changed where that does not allow it. '' where there is no such batch.
-- What is cancelled can be cancelled again: whoever did it may have died before its messages were taken back.

local bid, action = ARGV[3], ARGV[4]
local key = A .. 'batch:' .. bid
if call('EXISTS', key) == 0 then return '' end
local was, starts = state_of(bid), call('HGET', key, 'starts_at')
local FROM = {pause = {running = true}, resume = {paused = true}, cancel = {running = true, paused = true, cancelled = true}}
local TO = {pause = 'paused', resume = 'running', cancel = 'cancelled'}
if not FROM[action][was] and not (action == 'pause' and starts) then return was end

if starts then
  call('HDEL', key, 'starts_at')
  call('ZREM', A .. 'starting', bid)
end
if call('HGET', key, 'state') ~= TO[action] or starts then call('HSET', key, 'state', TO[action], 'reason', ARGV[5]) end
if action == 'cancel' then tally(bid, 'waiting', 'cancelled', tonumber(call('HGET', key, 'n:waiting') or nil) or 0) end
if action == 'resume' then let_pass(bid) end
if action ~= 'pause' then
  judge_batch(bid)
  wake(call('HGET', key, 'queue'))
end
return starts and 'starting' or was
