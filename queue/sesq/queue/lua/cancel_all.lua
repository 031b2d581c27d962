-- Cancel all: takes back those messages that wait. After lifecycle.lua.
--
-- ARGV[3] reason   [4] the states in which they may be, "held,queued,…"   [5…] ids

local allowed = {}
for state in string.gmatch(ARGV[4], '%a+') do allowed[state] = true end
for i = 5, #ARGV do
  local was = call('HMGET', A .. 'message:' .. ARGV[i], 'state', 'queue')
  if was[1] and allowed[was[1]] then
    if was[1] == 'queued' then leave_queue(was[2], ARGV[i]) end
    if move(ARGV[i], 'cancelled', ARGV[3], {}, {}) == 'cancelled' then call('DEL', A .. 'content:' .. ARGV[i]) end
  end
end
return 1
