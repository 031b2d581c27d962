-- Moves a key of a wrong type aside, removes a counter that is no number, and makes the Redis call
-- again. So one damaged key does not stop other mail. `sesq doctor` shows what was damaged. After clock.lua;
-- every call of the scripts goes through `call` from here on.
--
-- ARGV[1]  account
-- Keys, D = "sesq:<account>:damaged"
--   D          hash   what is damaged -> JSON [time it was found (s), what is wrong with it]
--   D:<key>    any    a key of a wrong type, kept for two weeks

local DAMAGED, DAMAGE_KEPT, MOST_DAMAGED = 'sesq:' .. ARGV[1] .. ':damaged', 14 * 86400, 1000
local BOOKS_LOST = 'lost' -- stands for the run id of the Redis server until the next sync
-- Whether the gate's state or its ledger was damaged: nothing goes before the next sync.
Damage.books_lost = false

function Damage.note(what, why)
  local kind = redis.call('TYPE', DAMAGED).ok
  if kind ~= 'hash' then redis.call('DEL', DAMAGED) end
  if redis.call('HLEN', DAMAGED) < MOST_DAMAGED or redis.call('HEXISTS', DAMAGED, what) == 1 then
    redis.call('HSET', DAMAGED, what, cjson.encode({now(), why}))
  end
end

function Damage.lose_books()
  local prefix = 'sesq:' .. ARGV[1] .. ':'
  local snapshot = prefix .. 'snapshot'
  Damage.books_lost = true
  redis.call('DEL', prefix .. 'sync')
  if redis.call('TYPE', snapshot).ok == 'hash' and redis.call('HEXISTS', snapshot, 'server') == 1 then
    redis.call('HSET', snapshot, 'server', BOOKS_LOST)
  end
end

-- Renames a key of a wrong type, and notes that.
function Damage.set_key_aside(key)
  local why = 'it is a ' .. redis.call('TYPE', key).ok .. ', which sesq does not keep there'
  redis.call('RENAME', key, DAMAGED .. ':' .. key)
  redis.call('EXPIRE', DAMAGED .. ':' .. key, DAMAGE_KEPT)
  Damage.note(key, why)
  local name = string.match(key, '^sesq:[^:]+:(.*)$') or ''
  if name == 'gate' or name == 'ledger' then Damage.lose_books() end
  local id = string.match(name, '^message:(.*)$')
  if id and Message.bury then Message.bury(id, 'its record in Redis was damaged: ' .. why) end
end

-- Whether an error of Redis means that a counter is no number, or too large to be counted up.
function Damage.is_uncountable(wrong)
  for _, words in ipairs({'hash value is not', 'would overflow', 'NaN or Infinity'}) do
    if string.find(wrong, words, 1, true) then return true end
  end
end

function call(...)
  local answer = redis.pcall(...)
  local wrong = type(answer) == 'table' and answer.err
  if not wrong then return answer end
  local _, key, field = ...
  if string.find(wrong, 'WRONGTYPE', 1, true) then Damage.set_key_aside(key)
  elseif Damage.is_uncountable(wrong) then -- it counts from 0 again
    Damage.note(key, 'its field ' .. field .. ' is no number, or too large a one')
    redis.call('HDEL', key, field)
  end
  return redis.call(...) -- again, now without the damaged key; another error comes again
end

-- Reads values of fields of a hash, in the order of the given names; false for a field that is missing.
local function read(key, ...) return unpack(call('HMGET', key, ...)) end

-- Reads the same as a table: name -> value.
local function read_fields(key, names)
  local values, fields = call('HMGET', key, unpack(names)), {}
  for i, name in ipairs(names) do fields[name] = values[i] or nil end
  return fields
end

-- Reads a whole hash as a table, empty if there is no such key. This costs more than read() of ten fields.
local function read_hash(key)
  local flat, record = call('HGETALL', key), {}
  for i = 1, #flat, 2 do record[flat[i]] = flat[i + 1] end
  return record
end
