-- Take: tokens for one message by name, for a stock RQ worker, which has taken the job out of its queue already.
-- After lifecycle.lua and gate.lua; also uses A lent (zset: see reseat.lua).
--
-- ARGV[3] id   [4] worker   [5] lease (s)   [6] execution
-- Returns {'granted', '0'}; {'rate' | 'day' | 'paused' | 'ses_paused' | 'unsynced', seconds to wait}; or {state, ''} where a
-- message in that state is not to be sent.

local id, worker, lease, execution = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local record = call('HMGET', A .. 'message:' .. id, 'state', 'rate', 'day', 'expires_at', 'queue', 'execution', 'batch', 'send_at', 'v', 'created', 'checked')
if record[1] then call('ZADD', A .. 'lent', now + 2 * lease, id) end
if record[1] == 'sending' and record[6] == execution then return {'granted', '0'} end -- asked again, since the answer was lost
if record[5] then call('SREM', A .. 'stale:' .. record[5], id) end -- it stands in no queue now
if record[1] and put_aside(id, {state = record[1], v = record[9], rate = record[2], day = record[3], expires_at = record[4],
                                send_at = record[8]}, {foreign = true}) then
  return {'held', ''}
end
if not is_sendable(record[1], record[8]) then return {record[1] or 'gone', ''} end
if tonumber(record[4]) and tonumber(record[4]) <= now then
  move(id, 'expired', 'its time ran out before it could go', {}, {foreign = true})
  return {'expired', ''}
end
if may_have_gone(record[10], record[11]) then
  hold_after_restore(id, record[10], {foreign = true})
  return {'held', ''}
end
local with_batch = stopped(record[7])
if with_batch == 'cancelled' then
  move(id, 'cancelled', 'its batch was cancelled', {}, {foreign = true})
  return {'cancelled', ''}
end
if with_batch == 'paused' then -- what stands behind it need not wait for it
  hold_with_its_batch(id, record[7], {foreign = true})
  return {'held', ''}
end
local why = closed() or is_paused(record[5]) and 'paused'
if why then return {why, '5'} end

local n, day = tonumber(record[2]), tonumber(record[3])
local bulk = is_bulk(record[5])
-- an urgent message never waits behind this one
if bulk and length_of(urgent_beside(record[5])) > 0 then return {'rate', string.format('%.6f', 1 / pace)} end
local spare = bulk and reserve or 0
if day > math.max(1, daily - spare) then
  hold_as_too_large(id, day, daily - spare, {foreign = true})
  return {'held', ''}
end
if day > 0 and total + others + day + spare > daily then
  return {'day', string.format('%.3f', (room_at(day, spare) or now + 60) - now)}
end
if not may_go(n, id) then
  gather_for(id, n, '-')
  return {'rate', string.format('%.6f', math.max(0.001, ready_at(n, id) - now))}
end

take(n, lease, id)
if day > 0 then count(minute, day) end
move(id, 'sending', worker, {'execution', execution, 'worker', worker, 'claimed', now, 'tokens_at', now, 'posted', ''}, {foreign = true})
call('ZADD', A .. 'leases', now + lease, id)
return {'granted', '0'}
