-- Change: a person, an event or the sync moves a message on.
-- After lifecycle.lua; also uses A blocks (hash: see settle.lua).
--
-- ARGV[3] id   [4] JSON: the states it may be in   [5] the new state   [6] reason
--     [7] JSON {due (s), fields {name: value}, drop_content, unblock: what it waits for is no longer refused unasked}
-- Returns {the state it was in, the one it came to}; the latter is '' where nothing has changed, since the former is not among
-- those allowed, or since its batch is cancelled. Both are '' where there is no such message.

local id, to, o = ARGV[3], ARGV[5], cjson.decode(ARGV[7])
local was = call('HMGET', A .. 'message:' .. id, 'state', 'queue', 'hold', 'batch', 'packed')
was[2] = lane_of(was[2])
if not was[1] or was[5] then return {'', ''} end
local allowed = false
for _, state in ipairs(cjson.decode(ARGV[4])) do allowed = allowed or state == was[1] end
if not allowed then return {was[1], ''} end
if WAITING[to] and was[4] and call('HGET', A .. 'batch:' .. was[4], 'state') == 'cancelled' then return {'of a cancelled batch', ''} end

local fields = {}
for name, value in pairs(o.fields or {}) do fields[#fields + 1] = name fields[#fields + 1] = value end
if was[1] == 'queued' and to ~= 'queued' then leave_queue(was[2], id) end
if o.unblock and was[3] then call('HDEL', A .. 'blocks', was[3]) end
local reached = move(id, to, ARGV[6], fields, {due = o.due})
if o.drop_content and reached == to then call('DEL', A .. 'content:' .. id) end
if to == 'queued' then wake(was[2]) elseif to == 'scheduled' then wake_for_schedule(was[2], id) end
return {was[1], reached}
