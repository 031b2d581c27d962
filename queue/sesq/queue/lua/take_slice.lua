-- Take: one recipient of a chunk by the chunk's name, for a stock RQ worker, which has taken the job out of its queue already.
-- After lifecycle.lua, batch.lua, gate.lua and slice.lua; also uses A lent (zset: see reseat.lua).
--
-- ARGV[3] chunk   [4] worker   [5] lease (s)   [6] execution
-- Returns {'granted', row, slice}; {'rate' | 'day' | 'urgent' | 'paused' | …, seconds to wait}; {'nothing', ''} where no row is to be sent.

local c = read_chunk(ARGV[3])
if not c then return {'nothing', ''} end
call('ZADD', A .. 'lent', now + 2 * tonumber(ARGV[5]), c.id)
if c.state ~= 'running' or not has_rows(c) then seat(c) return {'nothing', ''} end
local why = closed() or is_paused(c.queue) and 'paused'
if why then return {why, '5'} end
-- an urgent message never waits behind this one
if length_of(urgent_beside(c.queue)) > 0 then return {'urgent', '60'} end

local _, _, _, day = next_rows(c)
if day > 0 and total + others + 1 + reserve > daily then
  return {'day', string.format('%.3f', (room_at(1, reserve) or now + 60) - now)}
end
if not may_go(1) then
  return {'rate', string.format('%.6f', math.max(0.001, ready_at(1) - now))}
end
local granted = grant_rows(c, 1, ARGV[6], ARGV[4], tonumber(ARGV[5]))
return {'granted', granted[2], granted[4]}
