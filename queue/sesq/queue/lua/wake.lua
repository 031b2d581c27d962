-- Wakes workers that wait for mail. After damage.lua.
--
-- ARGV[1]  account            ARGV[2]  RQ's key prefix ("rq")
-- Channel, A = "sesq:<account>:"
--   A wake   the words 'urgent', '' (bulk mail) and 'policy'
-- RQ's own keys, R = "<prefix>:"
--   R scheduled:<lane>   zset   ids -> when they are due (s)

local A, R = 'sesq:' .. ARGV[1] .. ':', ARGV[2] .. ':'

-- Returns the lane of an RQ queue, as the name of the lane's queue. A tenant's queue is "<lane>.<tenant>".
local lanes = {} -- queue -> its lane, once this script has asked
function Job.lane_of(queue)
  lanes[queue] = lanes[queue] or string.match(queue, '^[^.]+%.[^.]+%.[^.]+') or queue
  return lanes[queue]
end
function Job.is_bulk(queue) return string.sub(Job.lane_of(queue), -5) == '.bulk' end

-- Publishes one word to the workers of the account. It comes after the writes, so it must not fail the
-- script: without the right to the channel nothing is published, and the workers claim once a second.
function Job.publish(word) redis.pcall('PUBLISH', A .. 'wake', word) end

-- Wakes the workers that wait for mail. If the mail may be urgent (a queue of nil may be), it also wakes
-- those that wait for a token for bulk mail. (Others publish 'policy' there: it also wakes the workers that
-- wait because of limits that no longer hold.)
function Job.wake(queue) Job.publish(queue and Job.is_bulk(queue) and '' or 'urgent') end

-- The same for a message that is scheduled and due before all others: a worker at rest does not look for it
-- every second.
function Job.wake_if_first(queue, id)
  if unpack(call('ZRANGE', R .. 'scheduled:' .. Job.lane_of(queue), 0, 0)) == id then Job.wake(queue) end
end
