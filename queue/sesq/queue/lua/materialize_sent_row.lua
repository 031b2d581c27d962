-- Makes a record for a row of a batch. Its mail was sent, and only its MessageId was kept;
-- now there is more to note about it. After messages.lua and rows.lua.
--
-- ARGV[3] id   [4] chunk   [5] row   [6] MessageId   [7] time it was taken (s)   [8] JSON {envelope, job},
--     both [name, value, …]
-- Returns 1, or 0 if it has one, or its batch is gone.

local id, chunk, row, message_id, taken_at, made = unpack(ARGV, 3, 8)
local bid = call('HGET', A .. 'chunk:' .. chunk, 'batch')

local function main()
  if not bid or call('SISMEMBER', A .. 'materialized:' .. bid, id) == 1 then return 0 end
  local arrived = call('GETBIT', A .. 'arrived:' .. chunk, row) == 1
  local state, message = arrived and 'delivered' or 'sent', {id = id, batch = bid}
  local event = {tonumber(taken_at), 'sent', message_id}
  Row.make_record(message, state, taken_at, event, cjson.decode(made), 'reason', message_id,
    'message_id', message_id, 'attempts', 1, 'day', 1)
  call('EXPIRE', A .. 'message:' .. id, Job.seconds_kept(message.keep))
  local ttl = call('TTL', A .. 'batch:' .. bid)
  -- the set may be new, although the batch has ended
  if ttl > 0 then call('EXPIRE', A .. 'materialized:' .. bid, ttl) end
  Job.place(id, message.queue, state, message.keep, {})
  Batch.adjust_counts(bid, arrived and 'arrived' or 'taken', state, 1)
  return 1
end
