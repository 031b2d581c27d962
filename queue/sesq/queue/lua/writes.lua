-- Collects entries of sorted sets and counters while a script runs, and writes them at its end, with
-- one command for each key. A function that reads such a set in between calls Write.sets() first. After
-- stream.lua.

local changed, changed_keys = {}, {} -- key -> {id -> score; false: it is removed}; the keys, in order
local counted = {}                   -- name of a counter -> by how much it grows

-- A full Redis refuses a script whose first write needs memory, and lets all others end. Scripts that change
-- states begin here, because mail that was sent must be noted even then.
function Write.free_first() call('ZREM', 'sesq:' .. ARGV[1] .. ':leases', '') end

function Write.changes_of(key)
  if #changed_keys == 0 then Write.free_first() end
  if not changed[key] then
    changed[key] = {}
    changed_keys[#changed_keys + 1] = key
  end
  return changed[key]
end
function Write.put(key, id, score)
  if not score then error('bad argument: ' .. id .. ' has no score for ' .. key) end
  Write.changes_of(key)[id] = score
end
function Write.take_out(key, id) Write.changes_of(key)[id] = false end
function Write.count(name, n) counted[name] = (counted[name] or 0) + n end

-- Lua can put only some thousand values into one call.
local AT_ONCE = 2000
function Write.all(command, key, values)
  for i = 1, #values, AT_ONCE do
    call(command, key, unpack(values, i, math.min(#values, i + AT_ONCE - 1)))
  end
end

function Write.one_set(key)
  local out, scores = {}, {}
  for id, score in pairs(changed[key]) do
    if score then
      scores[#scores + 1] = score
      scores[#scores + 1] = id
    else out[#out + 1] = id end
  end
  Write.all('ZREM', key, out)
  Write.all('ZADD', key, scores)
end

-- Writes all sets. If Redis refuses to change one of them, the others are still written.
function Write.sets()
  local fault
  for _, key in ipairs(changed_keys) do
    local written, wrong = pcall(Write.one_set, key)
    if not written then fault = fault or wrong end
  end
  changed, changed_keys = {}, {}
  if fault then error(fault, 0) end
end

function Write.counters()
  local key = 'sesq:' .. ARGV[1] .. ':counters'
  for name, n in pairs(counted) do
    if name == 'wait:sum' then call('HINCRBYFLOAT', key, name, string.format('%.3f', n))
    else call('HINCRBY', key, name, n) end
  end
end

-- Runs the `main` of a script, and writes what was collected, however it ends. Returns the script's answer.
local function run(main)
  local done, answer = pcall(main)
  local written, fault = pcall(Write.sets)
  Write.counters()
  Stream.write()
  if not done then error(answer, 0) end
  if not written then error(fault, 0) end
  return answer
end
