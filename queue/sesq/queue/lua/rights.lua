-- Rights: tries the commands that sesq's scripts use, on keys that nothing else uses. Leaves nothing behind.
--
-- ARGV[1…2] prefixes of keys   [3…] commands
-- Returns those that were denied: "HSET on sesq:*". Each is tried with one argument more until their number is right, since Redis
-- looks at the rights only then; whether the arguments make sense does not matter.

local MOST_ARGUMENTS = 6
local denied = {}

local function words(answer)
  return type(answer) == 'table' and answer.err or ''
end

local function try(command, key)
  local arguments, said = {command}, ''
  for _ = 1, MOST_ARGUMENTS do
    said = words(redis.pcall(unpack(arguments)))
    if not string.find(said, '[Ww]rong number of arg') then break end
    arguments[#arguments + 1] = key -- some take two keys
  end
  return string.find(said, 'ACL failure') or string.find(said, "executing the script can't") or string.find(said, 'NOPERM')
         or string.find(said, 'Unknown Redis command')
end

for p = 1, 2 do
  local key = ARGV[p] .. ':doctor'
  for c = 3, #ARGV do
    if try(ARGV[c], key) then denied[#denied + 1] = ARGV[c] .. ' on ' .. ARGV[p] .. ':*' end
    redis.pcall('DEL', key)
  end
end
return denied
