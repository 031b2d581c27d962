-- Origins: recipients by their domain and by the tags of their mail, counted from SES's events, so that each
-- domain and each tag has a rate of its own. After messages.lua.
--
-- Keys, A = "sesq:<account>:"
--   A origins:<domain|tag>:<sent|bounced|complained>:<day since the epoch>  zset, expires
--                  name (of a tag "name=value") -> recipients; '' -> recipients of the names that made room

local MOST_NAMES = 1000
local OTHERS = ''
local KEPT_SECONDS = 8 * 86400 -- a week counts

-- Makes room for one more name: the name with the fewest recipients goes, and its recipients count as the
-- others'. So a name with more than a thousandth of a day's mail keeps its place, in any order of names.
local function make_room(key)
  local least = call('ZRANGE', key, 0, 1, 'WITHSCORES')
  local name, n = unpack(least)
  if name == OTHERS then name, n = unpack(least, 3) end
  call('ZREM', key, name)
  call('ZINCRBY', key, n, OTHERS)
end

-- what: domain or tag. counted: sent, bounced or complained. names: name -> recipients.
function Origin.count(what, counted, names)
  if not next(names) then return end
  local day = math.floor(now() / 86400)
  local key = string.format('%sorigins:%s:%s:%d', A, what, counted, day)
  for name, n in pairs(names) do
    local is_new = not call('ZSCORE', key, name)
    if is_new and call('ZCARD', key) >= MOST_NAMES then make_room(key) end
    call('ZINCRBY', key, n, name)
  end
  call('EXPIRE', key, KEPT_SECONDS)
end
