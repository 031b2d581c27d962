-- Look: all that Redis keeps of some messages at one moment, for the auditor. Changes nothing; after lifecycle.lua.
--
-- ARGV[3] number of queues   [4…] RQ queues   then ids
-- Returns for each id {record, ttl of the record, of the content, of RQ's job (s; -1 none, -2 no such key), the job's status,
--   the states in whose set it stands, "<registry> <queue>" of RQ's registries, {in leases, in expiring, in the set of what it
--   waits for, why that is waited for, in its batch's spilled ones (also where the batch is gone), run by a worker of RQ's own}}
--   record   {state, since, queue, hold, batch, claim_id, expires_at, packed}

local queues, answers = tonumber(ARGV[3]), {}
local function stands_in(zset, id) return call('ZSCORE', A .. zset, id) and 1 or 0 end
for i = 4 + queues, #ARGV do
  local id = ARGV[i]
  local record = call('HMGET', A .. 'message:' .. id, 'state', 'since', 'queue', 'hold', 'batch', 'claim_id', 'expires_at', 'packed')
  local states, registries = {}, {}
  for state in pairs(PLACE) do
    if call('ZSCORE', A .. 'state:' .. state, id) then states[#states + 1] = state end
  end
  for q = 4, 3 + queues do
    for _, name in ipairs(REGISTRIES) do
      if call('ZSCORE', R .. name .. ':' .. ARGV[q], id) then registries[#registries + 1] = name .. ' ' .. ARGV[q] end
    end
  end
  local hold, batch = record[4] or '', record[5] or ''
  local spilled = (batch == '' or call('EXISTS', A .. 'batch:' .. batch) == 0) and 1 or call('SISMEMBER', A .. 'spilled:' .. batch, id)
  local elsewhere = call('EXISTS', R .. 'executions:' .. id)
  answers[#answers + 1] = {
    record, call('TTL', A .. 'message:' .. id), call('TTL', A .. 'content:' .. id), call('TTL', R .. 'job:' .. id),
    call('HGET', R .. 'job:' .. id, 'status') or '', states, registries,
    {stands_in('leases', id), stands_in('expiring', id), stands_in('hold:' .. hold, id), call('HEXISTS', A .. 'holds', hold), spilled, elsewhere},
  }
end
return answers
