-- Promote: moves what is due from the schedule into its lane, and what has expired to its end. After lifecycle.lua.
--
-- ARGV[3] most to move   [4…] RQ queues
-- What was put off after a try goes to the head of its lane, what comes for the first time to the end.
-- Returns {number moved, seconds until the next is due or ''; 0 where there is more to move}

local moved, first, soonest = 0, nil, nil -- first: of the lanes into which something came

-- What waits and may no longer go, wherever it waits; what is on its way or unknown is not judged here.
local late = call('ZRANGEBYSCORE', A .. 'expiring', '-inf', now, 'LIMIT', 0, ARGV[3])
if #late == tonumber(ARGV[3]) then soonest = now end
for _, id in ipairs(late) do
  local was = call('HMGET', A .. 'message:' .. id, 'state', 'queue', 'expires_at')
  local expires = tonumber(was[3] or '')
  if WAITING[was[1] or ''] and expires and expires <= now then
    if was[1] == 'queued' then leave_queue(was[2], id) end
    move(id, 'expired', 'its time ran out before it could go', {}, {})
  else
    call('ZREM', A .. 'expiring', id)
  end
end

for i = 4, #ARGV do
  local schedule = R .. 'scheduled:' .. ARGV[i]
  for _, id in ipairs(call('ZRANGEBYSCORE', schedule, '-inf', now, 'LIMIT', 0, ARGV[3])) do
    local state = call('HGET', A .. 'message:' .. id, 'state')
    if state == 'scheduled' or state == 'retrying' then
      move(id, 'queued', 'due', {}, {front = state == 'retrying'})
      moved = moved + 1
      if not first or is_bulk(first) then first = ARGV[i] end
    else
      call('ZREM', schedule, id)
    end
  end
  local next = call('ZRANGE', schedule, 0, 0, 'WITHSCORES')[2]
  if next then soonest = math.min(soonest or math.huge, tonumber(next)) end
end
if moved > 0 then wake(first) end
return {moved, soonest and string.format('%.3f', math.max(0, soonest - now)) or ''}
