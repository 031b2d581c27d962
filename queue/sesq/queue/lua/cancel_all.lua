-- Cancels those of some messages that wait. After messages.lua.
--
-- ARGV[3] reason   [4] the states in which they are cancelled, "held,queued,…"   [5…] ids

local reason, allowed = ARGV[3], {}

local function main()
  for state in string.gmatch(ARGV[4], '%a+') do allowed[state] = true end
  for _, id in ipairs({unpack(ARGV, 5)}) do
    local message = Message.read(id)
    if allowed[message.state or ''] then
      if message.state == 'queued' then Job.leave_queue(message.queue, id) end
      if Message.transition(message, 'cancelled', reason, {}, {}) == 'cancelled' then
        call('DEL', A .. 'content:' .. id)
      end
    end
  end
  return 1
end
