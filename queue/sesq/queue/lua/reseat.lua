-- Reseat: RQ's own worker puts a job where the end of its run says. Once it has let go, the job goes where its message, or
-- its chunk, is; what RQ was told meanwhile stays: to cancel it, or to queue again what has ended. A worker of RQ's that was
-- killed lets go of nothing: what it had is put back when it has not been heard of for too long. After lifecycle.lua.
--
--   A lent                     zset    id of a message or chunk that a worker of RQ's has taken -> time by which a living one
--                                      has asked about it again, or let go of it (s)
--   R executions:<id>          zset    RQ's: there is one while a worker of RQ's runs the job, and a minute or two after its death
--   R wip:<queue>              zset    RQ's: "<id>:<execution>" -> time until which it may run (s); of sesq's own workers: for ever
--
-- ARGV[3] most to look at; fewer where queues are long, since each look searches one   [4…] RQ queues
-- Returns the number that RQ called something else than sesq does.

local most = ARGV[3]
local UNASKED = 30 -- s: a living worker has asked by then
local LOOK_AGAIN = 10 -- s: RQ may yet say something of what was put back

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
  queue = lane_of(queue)
  local registry, list = PLACE[state][1], R .. 'queue:' .. queue
  forget_runs(id, queue, execution)
  if registry == 'queue' and #call('LPOS', list, id, 'COUNT', 2) == 1 then
    for _, name in ipairs(REGISTRIES) do call('ZREM', R .. name .. ':' .. queue, id) end
    call('HSET', R .. 'job:' .. id, 'status', 'queued')
    call('PERSIST', R .. 'job:' .. id)
  else
    call('LREM', list, 0, id)
    local due = state == 'scheduled' and tonumber(send_at or '') or call('ZSCORE', R .. 'scheduled:' .. queue, id) or now
    place(id, queue, state, keep, {due = due, front = true, execution = execution})
  end
end

-- Notes what workers of RQ's have taken and not asked about yet: one may have been killed before it could.
local function note_taken(queue)
  for _, run in ipairs(call('ZRANGEBYSCORE', R .. 'wip:' .. queue, '-inf', '(+inf', 'LIMIT', 0, most)) do
    local id = string.match(run, '^(.*):')
    if id and found(id)[1] then call('ZADD', A .. 'lent', 'NX', now + UNASKED, id) end
  end
end

-- Puts a job where its message is, unless RQ was told otherwise; 1 where RQ called it something else.
local function look_at(id)
  local m, status = found(id), call('HGET', R .. 'job:' .. id, 'status')
  local place_of = m[1] and PLACE[m[1]]
  local told = status == 'canceled' or status == 'queued' and place_of and ENDED[place_of[1]] and m[1] ~= 'cancelled'
  if not place_of or not status then return 0 end
  if told then
    forget_runs(id, lane_of(m[2]), m[4])
    return 0
  end
  reseat(id, unpack(m, 1, 5))
  return status ~= place_of[2] and 1 or 0
end

for i = 4, #ARGV do note_taken(ARGV[i]) end
local SEARCHED = 200000 -- entries of queues that one call may search
local longest = 1
for i = 4, #ARGV do longest = math.max(longest, call('LLEN', R .. 'queue:' .. ARGV[i]), call('ZCARD', R .. 'wip:' .. ARGV[i])) end
most = math.max(1, math.min(tonumber(most), math.floor(SEARCHED / longest)))
local elsewhere, lent, some = 0, {}, call('ZRANDMEMBER', A .. 'lent', most, 'WITHSCORES')
for i = 1, #some, 2 do lent[#lent + 1] = {some[i], tonumber(some[i + 1])} end
table.sort(lent, function(one, other) return one[2] > other[2] end) -- the first taken last, so that it is at the head
for _, each in ipairs(lent) do
  local id, due = unpack(each)
  local runs = call('EXISTS', R .. 'executions:' .. id) == 1
  if not runs or due <= now then elsewhere = elsewhere + look_at(id) end
  if not runs then call('ZREM', A .. 'lent', id)
  elseif due <= now then call('ZADD', A .. 'lent', now + LOOK_AGAIN, id) end
end
return elsewhere
