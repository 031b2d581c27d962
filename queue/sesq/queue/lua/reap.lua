-- Reap: judges what workers left behind when they died. After lifecycle.lua and gate.lua.
--
-- ARGV[3] most to judge   [4] on_unknown where the message says nothing: hold or resend   [5] most attempts
-- A lease that ran out before the message was begun means that nothing left: it goes back to the head of its lane, and
-- its tokens with it. After that it may have left: unknown, or again where its policy says so and attempts are left (out of
-- attempts it is still unknown: `failed` would say that nobody got it).
-- Returns {{id, new state}, …}

shorten_leases(A .. 'leases', ARGV[3])
local judged = {}
local ids = call('ZRANGEBYSCORE', A .. 'leases', '-inf', now, 'LIMIT', 0, ARGV[3])
for i = #ids, 1, -1 do -- the last first, so that they stand in their order at the head of the lane
  local id = ids[i]
  local m = call('HMGET', A .. 'message:' .. id, 'state', 'posted', 'rate', 'day', 'claimed', 'on_unknown', 'attempts', 'tokens_at')
  if m[1] ~= 'sending' then call('ZREM', A .. 'leases', id)
  else
    local left = (m[2] or '') ~= ''
    local rate = tonumber(m[3]) or 0
    account(tonumber(m[8] or nil), left and rate or 0, left and 0 or rate)
    local attempts = (tonumber(m[7]) or 0) + 1
    local to, reason = 'unknown', 'its worker died while it was on its way: SES may have taken it'
    if not left then
      to, reason = 'queued', 'its worker died before sending it'
      local at = math.floor((tonumber(m[5]) or now) / 60)
      local day = tonumber(m[4]) or 0
      if minute - at < SLOTS and day > 0 then count(at, -day) end
    elseif ((m[6] or '') ~= '' and m[6] or ARGV[4]) == 'resend' and attempts < tonumber(ARGV[5]) then
      to, reason = 'queued', reason .. '; sent again, as its policy says'
      call('HSET', A .. 'message:' .. id, 'unsure', 1)
    end
    local fields = left and {'tokens_at', '', 'attempts', attempts} or {'tokens_at', ''}
    judged[#judged + 1] = {id, move(id, to, reason, fields, {front = true})}
  end
end
if #judged > 0 then wake() end
return judged
