-- Feedback: what SES tells of one message is counted once, and moves the message on. After messages.lua; also
--   A event:<digest>   string, expires   this event has been counted
--   A reputation       hash    <hour since the epoch>:<sent|bounced|complained> -> recipients; level (fine,
--                              warn or pause); bounced, complained -> the rate that was let pass, see
--                              reputation.py
--   A suppression      hash    address -> JSON {reason, at (s), source}
--   A message:<id>     its field `rank`: how much the event that moved it last is worth (see below)
--
-- ARGV[3] JSON {
--   event        a digest that is the same for the same event     remember  s that it is known
--   count        {sent | bounced | complained: recipients}         suppress  {address: JSON}
--   id           the message's, '' where the event names none
--   to, reason   where it goes
--   rank         a later event moves it only where it is worth more, since events come in any order
--   message_id   SES's                    drop_content
-- }
-- Returns the state the message was in; '' where there is no record of it.

local RANKS = {sent = 1, delivered = 3, bounced = 4, complained = 5}
local told = cjson.decode(ARGV[3])

local function main()
  if call('SET', A .. 'event:' .. told.event, 1, 'NX', 'EX', told.remember) then
    local hour = math.floor(now() / 3600)
    for name, n in pairs(told.count) do call('HINCRBY', A .. 'reputation', hour .. ':' .. name, n) end
    for address, entry in pairs(told.suppress) do call('HSETNX', A .. 'suppression', address, entry) end
  end
  if told.id == '' or not told.to then return '' end

  local message = Message.read(told.id)
  local was, rank_before, message_id = message.state, read(A .. 'message:' .. told.id, 'rank', 'message_id')
  if not was or message.packed then return '' end -- packed: what became of the row is not written down yet
  if not RQ_STATE[was] then return was end -- another version's
  local left = RANKS[was] -- nil: SES took it, whatever we thought
  local rank = left and (tonumber(rank_before) or left) or 0
  if told.rank <= rank then return was end
  if was == 'queued' then Job.leave_queue(message.queue, told.id) end
  local own = (message_id or '') ~= '' and message_id or told.message_id
  local fields = {'message_id', own, 'rank', told.rank, 'attempts',
    math.max(1, tonumber(message.attempts) or 0)}
  -- it has left, before all else
  if not left and told.to ~= 'sent' then Message.transition(message, 'sent', own, fields, {}) end
  Message.transition(message, told.to, told.reason, fields, {})
  if told.drop_content then call('DEL', A .. 'content:' .. told.id) end
  return was
end
