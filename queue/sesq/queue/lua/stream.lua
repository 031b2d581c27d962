-- Writes each change of a message's state to a stream, if a consumer listens. After wake.lua.
--
-- Keys, A = "sesq:<account>:"
--   A listening   hash     cap (events that stay), lost (id of the newest event that was dropped),
--                          consumer:<name> (s: since when it listens), gap:<name> ("<id> <id>": events
--                          that it lost). Without this key, no events are written.
--   A events      stream   e -> JSON {v, id, was, state, at (s), lane, reason; batch and message_id, if it
--                          has one; type, detail (if it changes no state)}; a consumer group for each
--                          consumer

local LISTENING, EVENTS = A .. 'listening', A .. 'events'
local SLACK, MOST_DROPPED = 100, 1000 -- events beyond the cap until some are dropped; so many at once
local LONGEST_SECONDS = 14 * 86400    -- no event stays longer
local told, cap = {}, nil             -- told: JSON, not written yet; cap: false if nobody listens
local kind_of_bounce

function Stream.is_heard()
  if cap == nil then cap = tonumber(call('HGET', LISTENING, 'cap')) or false end
  return cap
end

-- Returns a value as JSON. Values that several events of one script share are encoded once.
local encoded = {}
local function json_of(value)
  encoded[value] = encoded[value] or cjson.encode(value)
  return encoded[value]
end

-- Returns an optional part of an event. (`..` is four times as fast as string.format here.)
local function part(name, value) return value and ',"' .. name .. '":' .. json_of(value) or '' end

local function add(message, was, state, reason, message_id, more)
  local lane = Job.is_bulk(message.queue) and 'bulk' or 'transactional'
  told[#told + 1] = '{"v":1,"id":' .. cjson.encode(message.id) .. ',"was":"' .. was .. '","state":"' .. state
    .. '","at":' .. now_as_text() .. ',"lane":"' .. lane .. '"' .. part('reason', reason)
    .. part('batch', message.batch) .. part('message_id', message_id) .. more .. '}'
end

local function value_of(name, fields)
  for i = 1, #fields, 2 do if fields[i] == name then return fields[i + 1] end end
end

-- Notes an event: a change of a message, a table with id, queue and batch. fields: {name, value, …} that
-- are written to its record with the change.
function Stream.tell(message, was, state, reason, fields)
  if not Stream.is_heard() then return end
  local kind = kind_of_bounce and state == 'bounced' and string.format(',"kind":"%s"', kind_of_bounce) or ''
  add(message, was or '', state, reason, value_of('message_id', fields), kind)
end

-- Sets the kind of the bounces that this script notes.
function Stream.set_kind(kind) kind_of_bounce = kind end

-- Notes an event that changes no state. kind: its type; detail (JSON): SES's object.
function Stream.tell_more(message, kind, reason, message_id, detail)
  if not Stream.is_heard() then return end
  local state = message.state or ''
  add(message, state, state, reason, message_id, string.format(',"type":"%s","detail":%s', kind, detail))
end

-- Returns the id up to which a consumer got events; nil if the stream does not know the consumer.
local function last_delivered(consumer)
  if call('EXISTS', EVENTS) == 0 then return nil end
  for _, group in ipairs(call('XINFO', 'GROUPS', EVENTS)) do
    local fields = {}
    for i = 1, #group, 2 do fields[group[i]] = group[i + 1] end
    if fields.name == consumer then return fields['last-delivered-id'] end
  end
end

-- Drops the n oldest events, and notes the last of them, so that a consumer that had not read them gets a
-- gap.
local function drop(n)
  local oldest = call('XRANGE', EVENTS, '-', '+', 'COUNT', n + 1)
  if not oldest[n + 1] then return end
  call('HSET', LISTENING, 'lost', oldest[n][1])
  call('XTRIM', EVENTS, 'MINID', oldest[n + 1][1])
end

-- Drops events beyond the cap, or older than LONGEST_SECONDS.
local function drop_oldest()
  local beyond = math.min(MOST_DROPPED, call('XLEN', EVENTS) - cap)
  if beyond >= SLACK then return drop(beyond) end
  local until_ms = string.format('%.0f', (real_seconds() - LONGEST_SECONDS) * 1000)
  local aged = call('XRANGE', EVENTS, '-', until_ms, 'COUNT', SLACK)
  if #aged > 0 then drop(#aged) end
end

local function write_told()
  for _, event in ipairs(told) do call('XADD', EVENTS, '*', 'e', event) end
  drop_oldest()
end

-- Writes the noted events. The state of mail does not depend on them: an error is noted as damage, and stops
-- nothing.
function Stream.write()
  if #told == 0 then return end
  local written, wrong = pcall(write_told)
  told = {}
  if not written then
    local why = type(wrong) == 'table' and wrong.err or tostring(wrong)
    Damage.note(EVENTS, 'a change of a message could not be told: ' .. why)
  end
end
