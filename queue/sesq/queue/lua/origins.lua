-- Counts recipients by their domain and by the tags of their mail, from SES's events, so that each
-- domain and each tag has its own rates. After messages.lua.
--
-- Keys, A = "sesq:<account>:"
--   A origins:<domain|tag>:<sent|bounced|complained>:<day since the epoch>  zset, expires
--                  name (for a tag "name=value") -> recipients; '' -> recipients of dropped names.
--                  `sent` has each name of the other two, with 0 if no mail to it was counted as sent

local MOST_NAMES = 1000
local OTHERS = ''
local KINDS = {'sent', 'bounced', 'complained'}
local DAY = 86400
local DAYS = 7 -- as in origins.py: today and the six days before
local KEPT_SECONDS = (DAYS + 1) * DAY

local function key_of(what, counted, day)
  return string.format('%sorigins:%s:%s:%d', A, what, counted, day)
end

local function has(what, day, name)
  return call('ZSCORE', key_of(what, 'sent', day), name)
end

-- Makes room for one more name: drops the name with the fewest recipients, and adds all its counts to those
-- of the others. So the rate of each name, and that of the others, comes from counts that belong together.
local function make_room(what, day)
  local name, second = unpack(call('ZRANGE', key_of(what, 'sent', day), 0, 1))
  if name == OTHERS then name = second end
  for _, counted in ipairs(KINDS) do
    local key = key_of(what, counted, day)
    local n = call('ZSCORE', key, name)
    if n then
      call('ZREM', key, name)
      call('ZINCRBY', key, n, OTHERS)
    end
  end
end

local function add(what, counted, day, name, n, days_ago)
  local key = key_of(what, counted, day)
  call('ZINCRBY', key, n, name)
  call('EXPIRE', key, KEPT_SECONDS - days_ago * DAY)
end

-- Returns how many days ago the name's mail was counted, because its bounce or complaint counts on that day,
-- and the name; OTHERS if the name may have been dropped.
local function place_of(what, today, name)
  local made_room = false
  for days_ago = 0, DAYS - 1 do
    if has(what, today - days_ago, name) then return days_ago, name end
    made_room = made_room or has(what, today - days_ago, OTHERS)
  end
  return 0, made_room and OTHERS or name
end

-- what: domain or tag. counted: sent, bounced or complained. names: name -> recipients.
function Origin.count(what, counted, names)
  local today = math.floor(now() / DAY)
  for name, n in pairs(names) do
    local days_ago = 0
    if counted ~= 'sent' then days_ago, name = place_of(what, today, name) end
    local day = today - days_ago
    if not has(what, day, name) then
      if call('ZCARD', key_of(what, 'sent', day)) >= MOST_NAMES then make_room(what, day) end
      add(what, 'sent', day, name, 0, days_ago)
    end
    add(what, counted, day, name, n, days_ago)
  end
end
