-- Shares a lane between tenants: mail of each tenant waits in its own RQ queue, and the queues take turns.
-- After wake.lua.
--
-- Keys, A = "sesq:<account>:"; <lane> is the RQ queue of a lane, for mail without a tenant;
-- "<lane>.<tenant>" is a tenant's
--   A shares:<lane>    zset     RQ queue in which mail may wait -> how many recipients have gone from it,
--                               counted from the least of the others when it joined. The least goes next.
--                               Without this key, no mail of a tenant waits in that lane
--   A resting:<lane>   zset     RQ queue of a tenant at its own limits -> it rests until then (s), or until
--                               the next look at it
-- RQ's own, R = "<prefix>:"
--   R queues           set      keys of the lists; a tenant's stays while mail may wait in it

local MOST_RESTING = 5   -- queues that one claim looks at again: a look at a ledger takes a millisecond
local LONGEST_REST = 600 -- s; a longer one is from before the clock was set back

local has_shares = {} -- lane -> whether its queues take turns, once this script has looked
function Share.take_turns(lane)
  if has_shares[lane] == nil then has_shares[lane] = call('EXISTS', A .. 'shares:' .. lane) == 1 end
  return has_shares[lane]
end

-- Notes that mail waits in a queue. Its turn is after that of queues with fewer recipients.
function Share.join(queue)
  local lane = Job.lane_of(queue)
  local shares = A .. 'shares:' .. lane
  if queue == lane and not Share.take_turns(lane) or call('ZSCORE', shares, queue) then return end
  if queue ~= lane and Share.is_resting(queue) then return end
  local _, least = unpack(call('ZRANGE', shares, 0, 0, 'WITHSCORES'))
  call('ZADD', shares, tonumber(least) or 0, queue)
  call('SADD', R .. 'queues', R .. 'queue:' .. queue)
  has_shares[lane] = true
end

-- Returns the queue of the lane whose turn it is.
function Share.next(lane)
  local shares = A .. 'shares:' .. lane
  local queue, gone = unpack(Share.take_turns(lane) and call('ZRANGE', shares, 0, 0, 'WITHSCORES') or {})
  if not queue then return lane end
  if Job.lane_of(queue) ~= lane then -- somebody has put it there
    call('ZREM', shares, queue)
    return lane
  end
  if not tonumber(gone) then call('ZADD', shares, 0, queue) end
  return queue
end

-- Returns the first queue of the lane with mail, by turn, and the id at its head; nothing if none of
-- the first few has mail.
local FIRST_FEW = 10
function Share.first(lane)
  local queues = Share.take_turns(lane) and call('ZRANGE', A .. 'shares:' .. lane, 0, FIRST_FEW - 1) or {}
  queues[#queues + 1] = lane
  for _, queue in ipairs(queues) do
    local id = call('LINDEX', R .. 'queue:' .. queue, 0)
    if id then return queue, id end
  end
end

-- Counts n recipients that go from a queue. Its next turn is when the others had as many.
function Share.charge(queue, n)
  local lane = Job.lane_of(queue)
  if Share.take_turns(lane) then call('ZADD', A .. 'shares:' .. lane, 'XX', 'INCR', n, queue) end
end

-- Removes an empty queue, at its turn. If that were earlier, it could come back as if nothing had gone from
-- it.
function Share.leave(lane, queue)
  call('ZREM', A .. 'shares:' .. lane, queue)
  if queue ~= lane then call('SREM', R .. 'queues', R .. 'queue:' .. queue) end
  has_shares[lane] = nil
end

-- Lets a tenant's queue rest until a time (s), because the tenant is at its limits.
function Share.rest(queue, till)
  local lane = Job.lane_of(queue)
  call('ZADD', A .. 'resting:' .. lane, math.min(till, now() + LONGEST_REST), queue)
  call('ZREM', A .. 'shares:' .. lane, queue)
  has_shares[lane] = nil
end

-- Returns until when a tenant's queue rests (s); nil if it does not rest.
function Share.is_resting(queue)
  local till = tonumber(call('ZSCORE', A .. 'resting:' .. Job.lane_of(queue), queue))
  return till and till > now() and till <= now() + LONGEST_REST and till or nil
end

-- Ends the rests of a tenant in both lanes, because it may send more now.
function Share.end_rests(tenant)
  for _, name in ipairs({'transactional', 'bulk'}) do
    local lane = 'sesq.' .. ARGV[1] .. '.' .. name
    call('ZADD', A .. 'resting:' .. lane, 'XX', 0, lane .. '.' .. tenant)
  end
end

-- Lets queues take turns again after their rest, and the lane's own queue if mail waits in it beside theirs.
function Share.wake(lane)
  local resting, few = A .. 'resting:' .. lane, MOST_RESTING
  for _, range in ipairs({{from = '-inf', to = now()}, {from = now() + LONGEST_REST + 1, to = '+inf'}}) do
    for _, queue in ipairs(call('ZRANGEBYSCORE', resting, range.from, range.to, 'LIMIT', 0, few)) do
      call('ZREM', resting, queue)
      Share.join(queue)
    end
  end
  if Share.take_turns(lane) and call('EXISTS', R .. 'queue:' .. lane) == 1 then Share.join(lane) end
end

-- Returns the queues of a lane in which mail may wait: the lane's own, then about `most` of tenants.
function Share.queues_of(lane, most)
  local queues, known = {lane}, {[lane] = true}
  for _, kind in ipairs({'shares:', 'resting:'}) do
    for _, queue in ipairs(call('ZRANGE', A .. kind .. lane, 0, most - 1)) do
      if not known[queue] then queues[#queues + 1] = queue end
      known[queue] = true
    end
  end
  return queues
end

-- Whether mail waits in a lane.
function Share.is_waiting(lane)
  return Share.take_turns(lane) or Job.length_of(lane) > 0 or Share.rests_until(lane) ~= nil
end

-- Returns when the first rest in a lane ends (s); nil if no queue rests.
function Share.rests_until(lane)
  local _, till = unpack(call('ZRANGE', A .. 'resting:' .. lane, 0, 0, 'WITHSCORES'))
  return tonumber(till)
end
