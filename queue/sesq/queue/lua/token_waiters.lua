-- Tells each waiting worker the time of another token, so that they do not all ask at once.
-- After gate.lua.
--
-- Keys, A = "sesq:<account>:"
--   A token_waiters        zset   worker -> when the token that it was promised is due (s)
--   A token_waiters:bulk   zset   the same for workers that serve no urgent mail: if others wait for a
--                                 token for that, these yield

local QUANTUM = 0.04 -- s: the least time between two claims while tokens are short
local SAME = 0.01    -- s: times so close belong to one token
-- s: a worker that is so late for its token may be dead; a token that is farther off than FAR does not count
local OVERDUE, FAR = 1, 60
local Waiters = {}

function Waiters.any_for_urgent()
  return call('ZCOUNT', A .. 'token_waiters', now() - OVERDUE, now() + FAR) > 0
end

-- Returns when the tokens are due that workers were promised (s), in order.
local function told_times(names)
  local told = {}
  for _, name in ipairs(names) do
    call('ZREMRANGEBYSCORE', A .. name, '-inf', now() - OVERDUE)
    local those = call('ZRANGEBYSCORE', A .. name, now(), '+inf', 'WITHSCORES')
    for i = 2, #those, 2 do told[#told + 1] = tonumber(those[i]) end
  end
  table.sort(told)
  return told
end

-- Returns when the next token comes that no other worker was promised (s), not before `due`. A worker that
-- waits for a token for urgent mail ignores tokens that were promised to workers that serve only bulk mail.
function Waiters.next_token(gate, due, for_bulk)
  local step = math.max(1 / gate.own.pace, QUANTUM)
  local names = for_bulk and {'token_waiters', 'token_waiters:bulk'} or {'token_waiters'}
  for _, theirs in ipairs(told_times(names)) do
    if theirs - due > math.min(step / 2, SAME) then break end
    due = math.max(due, theirs + step)
  end
  return due
end
