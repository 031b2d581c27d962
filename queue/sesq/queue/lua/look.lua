-- Reads all that Redis has of some messages at one moment, for the auditor. Changes nothing; after
-- messages.lua.
--
-- ARGV[3] number of queues   [4…] RQ queues   then ids
-- Returns for each id {record, ttl of the record, of the content, of RQ's job (s; -1 none, -2 no such key),
--   the job's status, the states in whose sets it is, "<registry> <queue>" of RQ's registries, {in leases,
--   in expiring, in the set of its hold, that hold has a reason, in its batch's materialized set
--   (also if the batch is gone), run by a stock RQ worker}}
--   record   {state, since, queue, hold, batch, claim_id, expires_at, packed}

local last = 3 + tonumber(ARGV[3])
local queues = {unpack(ARGV, 4, last)}

local function stands_in(set, id) return call('ZSCORE', A .. set, id) and 1 or 0 end

local function states_of(id)
  local states = {}
  for state in pairs(RQ_STATE) do
    if call('ZSCORE', A .. 'state:' .. state, id) then states[#states + 1] = state end
  end
  return states
end

local function registries_of(id)
  local found = {}
  for _, queue in ipairs(queues) do
    for _, name in ipairs(REGISTRIES) do
      if call('ZSCORE', R .. name .. ':' .. queue, id) then found[#found + 1] = name .. ' ' .. queue end
    end
  end
  return found
end

local function look_at(id)
  local key, job = A .. 'message:' .. id, R .. 'job:' .. id
  local record = call('HMGET', key, 'state', 'since', 'queue', 'hold', 'batch', 'claim_id', 'expires_at',
    'packed')
  local _, _, _, hold, batch = unpack(record)
  hold, batch = hold or '', batch or ''
  local known = (batch == '' or call('EXISTS', A .. 'batch:' .. batch) == 0) and 1
                or call('SISMEMBER', A .. 'materialized:' .. batch, id)
  return {
    record, call('TTL', key), call('TTL', A .. 'content:' .. id), call('TTL', job),
    call('HGET', job, 'status') or '',
    states_of(id), registries_of(id),
    {stands_in('leases', id), stands_in('expiring', id), stands_in('hold:' .. hold, id),
    call('HEXISTS', A .. 'holds', hold),
     known, call('EXISTS', R .. 'executions:' .. id)},
  }
end

local answers = {}

local function main()
  for i = last + 1, #ARGV do answers[#answers + 1] = look_at(ARGV[i]) end
  return answers
end
