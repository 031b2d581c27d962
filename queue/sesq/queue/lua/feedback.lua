-- Feedback: what SES tells of one message is counted once, and moves the message on. After lifecycle.lua and batch.lua; also
--   A event:<digest>   string, expires   this event has been counted
--   A reputation       hash    <hour since the epoch>:<sent|bounced|complained> -> recipients; level (fine, warn or pause);
--                              bounced, complained -> the rate that was let pass, see config/reputation.py
--   A suppression      hash    address -> JSON {reason, at (s), source}
--   A message:<id>     its field `rank`: how much the event that moved it last is worth (see below)
--
-- ARGV[3] JSON {
--   event        a digest that is the same for the same event     remember  s that it is known
--   count        {sent | bounced | complained: recipients}         suppress  {address: JSON}
--   id           the message's, '' where the event names none
--   to, reason   where it goes            rank   a later event moves it only where it is worth more, since events come in any order
--   message_id   SES's                    drop_content
-- }
-- Returns the state the message was in; '' where there is no record of it.

local o = cjson.decode(ARGV[3])
if call('SET', A .. 'event:' .. o.event, 1, 'NX', 'EX', o.remember) then
  local hour = math.floor(now / 3600)
  for name, n in pairs(o.count) do call('HINCRBY', A .. 'reputation', hour .. ':' .. name, n) end
  for address, entry in pairs(o.suppress) do call('HSETNX', A .. 'suppression', address, entry) end
end
if o.id == '' or not o.to then return '' end

local was = call('HMGET', A .. 'message:' .. o.id, 'state', 'rank', 'queue', 'message_id', 'attempts', 'packed')
if not was[1] or was[6] then return '' end -- packed: what became of the row is not written down yet
if not PLACE[was[1]] then return was[1] end -- another version's
local RANKS = {sent = 1, delivered = 3, bounced = 4, complained = 5}
local rank = tonumber(was[2]) or RANKS[was[1]] or 0
if not RANKS[was[1]] then rank = 0 end -- SES took it, whatever we thought
if o.rank <= rank then return was[1] end
if was[1] == 'queued' then leave_queue(was[3], o.id) end
local own = was[4] and was[4] ~= '' and was[4] or o.message_id
local fields = {'message_id', own, 'rank', o.rank, 'attempts', math.max(1, tonumber(was[5]) or 0)}
if not RANKS[was[1]] and o.to ~= 'sent' then move(o.id, 'sent', own, fields, {}) end -- it has left, before all else
move(o.id, o.to, o.reason, fields, {})
if o.drop_content then call('DEL', A .. 'content:' .. o.id) end
return was[1]
