-- Tells when send windows are open. Python computes the times (windows.py); scripts read them. After
-- jobs.lua.
--
-- Keys, A = "sesq:<account>:"
--   A windows        hash   a send window, as people write it -> when it is open, from yesterday on and for a
--                           week: "start end start end …" (s, whole, in order)
--   A windows:<bid>  set    the windows of a batch
--   A windowed       zset   chunks that wait until their window opens -> the order in which they left their
--                           lane
--   A with_windows   set    the batches that have a window, until they are forgotten

local OUTSIDE = 'outside the send window ' -- the reason, before the name of the window
local UNKNOWN = 60         -- s: until the next look for a window that is not known
local LONGEST_TIMES = 4000 -- bytes
local opens = {}           -- window -> when it opens (s), or false: it is open; once this script has looked

function Window.look(window)
  local times = string.sub(call('HGET', A .. 'windows', window) or '', 1, LONGEST_TIMES)
  for from, to in string.gmatch(times, '(%d+) (%d+)') do
    from, to = tonumber(from), tonumber(to)
    if from and to and now() < to then return now() < from and from end
  end
  return now() + UNKNOWN
end

-- Returns when a window opens (s); nil while it is open, and for '' (no window). A window that is not known
-- here, or whose times are over, counts as closed: account sync writes the times anew.
function Window.opens_at(window)
  if (window or '') == '' then return nil end
  if opens[window] == nil then opens[window] = Window.look(window) end
  return opens[window] or nil
end

-- Notes that a chunk has left its lane because its window is closed. Returns when its job is due (s): right
-- after the window opens. The last one that left is due first, since each goes to the head of its lane.
local MOST_ORDER = 1e6
function Window.await(id, opens_at)
  local order = tonumber(call('ZSCORE', A .. 'windowed', id))
  if not order then
    local _, last = unpack(call('ZRANGE', A .. 'windowed', -1, -1, 'WITHSCORES'))
    order = (tonumber(last) or 0) + 1
    call('ZADD', A .. 'windowed', order, id)
  end
  return opens_at + (MOST_ORDER - math.min(order, MOST_ORDER)) / MOST_ORDER
end
function Window.is_awaited(id) return call('ZSCORE', A .. 'windowed', id) ~= false end
function Window.leave(id) call('ZREM', A .. 'windowed', id) end
