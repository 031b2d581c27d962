-- Notes that the mail of a row without a record was delivered. After messages.lua.
--
-- ARGV[3] chunk   [4] row   [5] SES's MessageId, for consumers of the stream
-- Returns 1 if that was not known.

local chunk, row, message_id = ARGV[3], ARGV[4], ARGV[5]
local bid = call('HGET', A .. 'chunk:' .. chunk, 'batch')

local function main()
  if not bid or call('SETBIT', A .. 'arrived:' .. chunk, row, 1) == 1 then return 0 end
  local ttl = call('TTL', A .. 'chunk:' .. chunk)
  if ttl > 0 then call('EXPIRE', A .. 'arrived:' .. chunk, ttl) end
  Batch.adjust_counts(bid, 'taken', 'arrived', 1)
  local message = {id = chunk .. '-' .. row, queue = Job.own_queue(nil), batch = bid}
  Stream.tell(message, 'sent', 'delivered', '', {'message_id', message_id})
  return 1
end
