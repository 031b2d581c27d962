-- Notes that, by an event, SES took the mail of a row whose chunk was lost. After messages.lua.
--
-- ARGV[3] chunk   [4] row   [5] MessageId
-- Keys, A = "sesq:<account>:"
--   A chunk:<id>   its field `found`: rows of a lost chunk that SES took, " <row> <row> "
-- Returns 1 if it is noted, now or before; 0 if the chunk was not lost, or the row waits in it.

local id, row, message_id = ARGV[3], tonumber(ARGV[4]), ARGV[5]
local key, log = A .. 'chunk:' .. id, A .. 'log:' .. id

local function is_in(runs)
  for from, to in string.gmatch(runs or '', '(%d+)-(%d+)') do
    if row >= tonumber(from) and row < tonumber(to) then return true end
  end
end

local function main()
  local batch, lost, found, redo = read(key, 'batch', 'lost', 'found', 'redo')
  local is_open = is_in(redo) or call('EXISTS', A .. 'message:' .. id .. '-' .. row) == 1
  if not (batch and lost) or is_open then return 0 end
  found = found or ' '
  if string.find(found, ' ' .. row .. ' ', 1, true) then return 1 end

  call('HSET', key, 'found', found .. row .. ' ')
  call('APPEND', log, string.format('%.3f %d:%s\n', now(), row, message_id))
  local ttl = call('TTL', key)
  if ttl > 0 then call('EXPIRE', log, ttl) end
  call('SADD', A .. 'unpacked', id)
  Batch.adjust_counts(batch, 'failed', 'taken', 1)
  return 1
end
