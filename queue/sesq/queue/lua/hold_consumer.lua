-- Makes this process the only one that reads as a consumer, for a while. After stream.lua; also
--   A reader:<consumer>   string, expires   the name of the process that reads
--
-- ARGV[3] consumer   [4] the process's own name   [5] lease (ms); 0 gives it back
-- Returns {1 if this process has the lease, the gap of the consumer: "<id> <id>" or ''}; {-1} if nobody
-- listens by that name.

local consumer, own, lease = ARGV[3], ARGV[4], tonumber(ARGV[5])
local key, gap_field = A .. 'reader:' .. consumer, 'gap:' .. ARGV[3]

-- Returns the id of the time at which the consumer began to listen, for one that has read nothing.
local function id_of_beginning()
  return string.format('%.0f-0', (tonumber(call('HGET', LISTENING, 'consumer:' .. consumer)) or 0) * 1000)
end

local function last_read()
  local read_to = last_delivered(consumer)
  return read_to == '0-0' and id_of_beginning() or read_to
end

-- Makes a lost stream anew, and notes its events as a gap.
local function mend_stream()
  call('XGROUP', 'CREATE', EVENTS, consumer, '0', 'MKSTREAM')
  call('HSET', LISTENING, gap_field, id_of_beginning() .. string.format(' %.0f-0', now() * 1000))
end

-- Whether an id of the stream is before another.
local function is_before(one, other)
  local function parts(id) return string.match(id, '^(%d+)-(%d+)$') end
  local ms, n = parts(one)
  local other_ms, other_n = parts(other)
  if ms ~= other_ms then return tonumber(ms) < tonumber(other_ms) end
  return tonumber(n) < tonumber(other_n)
end

-- Notes the events that were dropped before this consumer had read them, unless they are noted already.
local function note_gap()
  local read_to, lost = last_read(), call('HGET', LISTENING, 'lost')
  if not (read_to and lost and is_before(read_to, lost)) then return end
  local noted = call('HGET', LISTENING, gap_field)
  call('HSET', LISTENING, gap_field, (noted and string.match(noted, '^%S+') or read_to) .. ' ' .. lost)
  call('XGROUP', 'SETID', EVENTS, consumer, lost)
end

local function main()
  if call('HEXISTS', LISTENING, 'consumer:' .. consumer) == 0 then return {-1} end
  local holder = call('GET', key)
  if holder and holder ~= own then return {0, ''} end
  if lease == 0 then
    call('DEL', key)
    return {0, ''}
  end
  call('SET', key, own, 'PX', lease)
  if last_delivered(consumer) then note_gap() else mend_stream() end
  return {1, call('HGET', LISTENING, gap_field) or ''}
end
