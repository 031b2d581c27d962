-- Reseat: RQ's own worker puts a job where the end of its run says. Once it has let go, the job goes where its message, or
-- its chunk, is. What RQ was told to cancel stays so, until a sync cancels the message. After lifecycle.lua.
--
--   A lent                     set     ids of messages and chunks that RQ's own workers have taken
--   R executions:<id>          zset    RQ's: there is one while a worker of RQ's runs the job
--
-- ARGV[3] most to look at
-- Returns the number that were elsewhere.

local function found(id)
  local key = A .. 'message:' .. id
  if call('EXISTS', key) == 1 then return call('HMGET', key, 'state', 'queue', 'keep', 'execution') end
  local c = call('HMGET', A .. 'chunk:' .. id, 'place', 'queue', 'keep')
  return {c[1], c[2], c[3], 'slices'}
end

local elsewhere = 0
for _, id in ipairs(call('SRANDMEMBER', A .. 'lent', ARGV[3])) do
  if call('EXISTS', R .. 'executions:' .. id) == 0 then
    local state, queue, keep, execution = unpack(found(id), 1, 4)
    local status = call('HGET', R .. 'job:' .. id, 'status')
    if state and status and status ~= 'canceled' and status ~= PLACE[state][2] then
      local due = call('ZSCORE', R .. 'scheduled:' .. queue, id) or now
      call('LREM', R .. 'queue:' .. queue, 0, id)
      place(id, queue, state, keep, {due = due, front = true, execution = execution})
      elsewhere = elsewhere + 1
    end
    call('SREM', A .. 'lent', id)
  end
end
return elsewhere
