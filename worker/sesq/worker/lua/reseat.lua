-- Reseat: RQ's own worker puts a job where the end of its run says. Once it has let go, the job goes where its message, or
-- its chunk, is; what RQ was told meanwhile stays: to cancel it, or to queue again what has ended. After lifecycle.lua.
--
--   A lent                     set     ids of messages and chunks that RQ's own workers have taken
--   R executions:<id>          zset    RQ's: there is one while a worker of RQ's runs the job
--
-- ARGV[3] most to look at
-- Returns the number that RQ called something else than sesq does.

local function found(id)
  local m = call('HMGET', A .. 'message:' .. id, 'state', 'queue', 'keep', 'execution', 'send_at')
  if m[1] then return m end
  local c = call('HMGET', A .. 'chunk:' .. id, 'place', 'queue', 'keep')
  return {c[1], c[2], c[3], 'slices'}
end

-- What a killed worker of RQ's has left among those that run.
local function forget_runs(id, queue, execution)
  local wip, cursor = R .. 'wip:' .. queue, '0'
  repeat
    local page = call('ZSCAN', wip, cursor, 'MATCH', id .. ':*', 'COUNT', 1000)
    cursor = page[1]
    for i = 1, #page[2], 2 do
      if page[2][i] ~= id .. ':' .. (execution or '') then call('ZREM', wip, page[2][i]) end
    end
  until cursor == '0'
end

local function reseat(id, state, queue, keep, execution, send_at)
  local registry, list = PLACE[state][1], R .. 'queue:' .. queue
  forget_runs(id, queue, execution)
  if registry == 'queue' and #call('LPOS', list, id, 'COUNT', 2) == 1 then
    for _, name in ipairs(REGISTRIES) do call('ZREM', R .. name .. ':' .. queue, id) end
    call('HSET', R .. 'job:' .. id, 'status', 'queued')
    call('PERSIST', R .. 'job:' .. id)
  else
    call('LREM', list, 0, id)
    local due = tonumber(send_at or '') or call('ZSCORE', R .. 'scheduled:' .. queue, id) or now
    place(id, queue, state, keep, {due = due, front = true, execution = execution})
  end
end

local elsewhere = 0
for _, id in ipairs(call('SRANDMEMBER', A .. 'lent', ARGV[3])) do
  if call('EXISTS', R .. 'executions:' .. id) == 0 then
    local m, status = found(id), call('HGET', R .. 'job:' .. id, 'status')
    local place_of = m[1] and PLACE[m[1]]
    local told = status == 'canceled' or status == 'queued' and place_of and ENDED[place_of[1]] and m[1] ~= 'cancelled'
    if place_of and status and not told then
      reseat(id, unpack(m, 1, 5))
      if status ~= place_of[2] then elsewhere = elsewhere + 1 end
    end
    call('SREM', A .. 'lent', id)
  end
end
return elsewhere
