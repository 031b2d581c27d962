-- Usage: what the gate would answer, for people. After lifecycle.lua and gate.lua. Changes nothing.
--
-- ARGV[3…] RQ queues, first lane first
-- Returns JSON: limits in force, what is used, when the head of each lane may go (or one recipient, where the lane is empty).

local function number(n) if n < math.huge then return n end end
local MOST_FLYING = 2000 -- more are not counted
-- Recipients in the ledger that may not have reached SES yet.
local flying = 0
for _, id in ipairs(call('ZRANGE', A .. 'leases', 0, MOST_FLYING - 1)) do
  flying = flying + (tonumber(call('HGET', A .. 'message:' .. id, 'day')) or 0)
end
local lanes = {}
for i = 3, #ARGV do
  local spare, queue = is_bulk(ARGV[i]) and reserve or 0, R .. 'queue:' .. ARGV[i]
  local head = call('LINDEX', queue, 0) or nil
  local cost = head and call('HMGET', A .. 'message:' .. head, 'rate', 'day') or {}
  lanes[#lanes + 1] = {queued = length_of(ARGV[i]), paused = is_paused(queue), head = head, room_at = room_at(tonumber(cost[2]) or 1, spare),
                       ready_at = math.max(now, ready_at(tonumber(cost[1]) or 1, head))}
end
return cjson.encode({
  now = now, books = books, closed = call('EXISTS', R .. 'suspended') == 1 and 'suspended' or closed(), rate = rate, daily = number(daily), burst = burst,
  pace = pace, margin = margin, slow = slow, reserve = reserve, tokens = tokens(), total = total, flying = flying, others = others,
  remaining = number(math.max(0, daily - total - others)), claims = tonumber(call('HGET', A .. 'gate', 'claims') or 0), throttles = tonumber(call('HGET', A .. 'gate', 'throttles') or 0),
  lanes = lanes,
})
