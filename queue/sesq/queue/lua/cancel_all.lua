-- Cancel all: takes back those messages that wait. After messages.lua.
--
-- ARGV[3] reason   [4] the states in which they may be, "held,queued,…"   [5…] ids

local reason, allowed = ARGV[3], {}
for state in string.gmatch(ARGV[4], '%a+') do allowed[state] = true end
for _, id in ipairs({unpack(ARGV, 5)}) do
  local message = read_message(id)
  if allowed[message.state or ''] then
    if message.state == 'queued' then leave_queue(message.queue, id) end
    if transition(message, 'cancelled', reason, {}, {}) == 'cancelled' then
      call('DEL', A .. 'content:' .. id)
    end
  end
end
return 1
