-- Gives the messages that dead workers were sending to another worker, which then settles them
-- (settle.lua). After messages.lua.
--
-- ARGV[3] most   [4] lease (s)   [5] claim_id   [6] worker
-- Returns {{id, started_at (s; '' if it has surely not left), attempts, on_unknown}, …} in the order in
-- which they were granted.

local most, lease, claim_id, worker = ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local found = {}

local function take_over(message)
  local wip = R .. 'wip:' .. Job.lane_of(message.queue)
  if not message.packed then -- the history of a row, written later, names the worker that was sending it
    call('ZREM', wip, message.id .. ':' .. (message.claim_id or ''))
    call('ZADD', wip, '+inf', message.id .. ':' .. claim_id)
    Message.set(message, 'worker', worker)
  end
  Message.set(message, 'taken_over', claim_id .. ' ' .. (message.claim_id or ''), 'claim_id', claim_id)
  call('ZADD', A .. 'leases', now() + lease + #found * 1e-6, message.id)
  local started_at, on_unknown = read(A .. 'message:' .. message.id, 'started_at', 'on_unknown')
  found[#found + 1] = {message.id, started_at or '', message.attempts or '0', on_unknown or ''}
end

local function main()
  Message.shorten_leases(most)
  for _, id in ipairs(call('ZRANGEBYSCORE', A .. 'leases', '-inf', now(), 'LIMIT', 0, most)) do
    local message = Message.read(id)
    if message.state == 'sending' then take_over(message) else call('ZREM', A .. 'leases', id) end
  end
  return found
end
