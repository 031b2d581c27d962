-- Tries the commands that sesq's scripts use, on keys that nothing else uses. Leaves no key behind.
--
-- ARGV[1…2] prefixes of keys   [3…] commands, some with their subcommand: "XGROUP CREATE"
-- Returns the commands that were denied: "HSET on sesq:*". Each is tried with one argument more until the
-- number is right, because Redis checks the rights only then. The arguments need not make sense.

local MOST_ARGUMENTS = 6
local denied = {}

local function words(answer)
  return type(answer) == 'table' and answer.err or ''
end

local function is_denied(command, key)
  local arguments, said = {}, ''
  for word in string.gmatch(command, '%S+') do arguments[#arguments + 1] = word end
  for _ = 1, MOST_ARGUMENTS do
    said = words(redis.pcall(unpack(arguments)))
    if not string.find(said, '[Ww]rong number of arg') then break end
    arguments[#arguments + 1] = key -- some take two keys
  end
  for _, denial in ipairs({'ACL failure', "executing the script can't", 'NOPERM', 'Unknown Redis command'}) do
    if string.find(said, denial, 1, true) then return true end
  end
  return false
end

for _, prefix in ipairs({unpack(ARGV, 1, 2)}) do
  local key = prefix .. ':doctor'
  for _, command in ipairs({unpack(ARGV, 3)}) do
    if is_denied(command, key) then denied[#denied + 1] = command .. ' on ' .. prefix .. ':*' end
    redis.pcall('DEL', key)
  end
end
return denied
