-- Rows on their way. Each has a small record at `message:<id>` with the fields that the gate, the lease and
-- the result need. When a row is simply sent, or put back unused, its record is deleted, and its chunk keeps
-- the result. In all other cases the row becomes an ordinary message. After messages.lua.

local touched = {} -- name -> chunk of such rows, read once; false for a damaged one: see Row.write_chunks()
local sent = {}    -- name of a chunk -> {"<row>:<MessageId>", …}: its rows that SES took
local ended = {}   -- ids of rows whose records are to be deleted

function Row.chunk_of(id)
  local name, row = string.match(id, '^(.*)-(%d+)$')
  if touched[name] == nil then
    local chunk = Chunk.read(name)
    if chunk then chunk.back = 0 end
    touched[name], sent[name] = chunk or false, {}
  end
  return touched[name], tonumber(row), sent[name]
end

-- Ends a row on its way. result: see settle.lua. Returns the state that it got; nil if it needs a record.
function Row.finish(message, to, result)
  if to ~= 'sent' and not (to == 'queued' and result.refund_rate) then return nil end
  local chunk, number, taken = Row.chunk_of(message.id)
  -- it keeps its record until its chunk is mended; its tokens and its day are refunded
  if not chunk and to ~= 'sent' then
    Message.set(message, 'tokens_at', '', 'day', '0')
    return to
  end
  ended[#ended + 1] = message.id
  if to == 'sent' then taken[#taken + 1] = number .. ':' .. result.message_id end
  if chunk then chunk.out = chunk.out - 1 end
  if chunk and to ~= 'sent' then
    if chunk.state ~= 'cancelled' then Chunk.redo_row(chunk, number) end
    chunk.back = chunk.back + 1
    to = chunk.state == 'cancelled' and 'cancelled' or to
  end
  Stream.tell(message, 'sending', to, result.reason or '', {'message_id', result.message_id})
  return to
end

-- Makes the record of a row, and its RQ job. made: envelope, job (both {name, value, …}).
function Row.make_record(message, state, since, event, made, ...)
  local id, bid = message.id, message.batch
  local created, queue, keep = Batch.read(bid, 'created', 'queue', 'keep')
  created = created or now()
  local queued = cjson.encode({tonumber(created), 'queued', 'in batch ' .. bid})
  Message.set(message, unpack(made.envelope))
  Message.set(message, 'v', 1, 'state', state, 'since', since, 'created', created, 'reason', '',
    'history', queued .. '\n' .. cjson.encode(event), 'queue', Job.own_queue(queue), 'batch', bid, 'rate', 1,
    'keep', keep or 3600, ...)
  call('HSET', R .. 'job:' .. id, unpack(made.job))
  call('SADD', A .. 'materialized:' .. bid, id)
  call('ZADD', A .. 'state:' .. state, since, id)
end

-- Makes a row on its way an ordinary message, because more happens to it than being sent.
function Row.materialize(message, result)
  local id, chunk = message.id, Row.chunk_of(message.id)
  Row.make_record(message, 'sending', now(), {tonumber(message.claimed), 'sending', message.worker}, result)
  call('HDEL', A .. 'message:' .. id, 'packed')
  message.packed = nil
  call('SET', A .. 'content:' .. id, id)
  call('HSET', R .. 'job:' .. id, 'status', 'started')
  call('ZADD', R .. 'wip:' .. Job.lane_of(message.queue), '+inf', id .. ':' .. message.claim_id)
  if chunk then chunk.out = chunk.out - 1 end
  Batch.adjust_counts(message.batch, 'leaving', 'sending', 1)
end

-- Writes rows that SES took to the log of their chunk, even if the chunk is damaged, unless it is gone.
function Row.write_log(name, rows)
  Message.count_states('sent', #rows)
  if call('EXISTS', A .. 'chunk:' .. name) == 0 then return end
  call('APPEND', A .. 'log:' .. name, string.format('%.3f ', now()) .. table.concat(rows, ' ') .. '\n')
end

function Row.write_chunk(chunk, taken)
  Batch.adjust_counts(chunk.batch, 'leaving', 'taken', taken)
  local back_to = chunk.state == 'cancelled' and 'cancelled' or 'waiting'
  Batch.adjust_counts(chunk.batch, 'leaving', back_to, chunk.back)
  Chunk.sync_job(chunk)
  if chunk.back > 0 then Job.wake(chunk.queue) end
end

-- Writes the results of the rows that were settled, and their chunks. with_gate() calls it at
-- the end.
function Row.write_chunks()
  if next(touched) then Write.free_first() end
  for name, chunk in pairs(touched) do
    if #sent[name] > 0 then Row.write_log(name, sent[name]) end
    if chunk then Row.write_chunk(chunk, #sent[name]) end
  end
  if #ended == 0 then return end
  call('ZREM', A .. 'leases', unpack(ended))
  for i, id in ipairs(ended) do ended[i] = A .. 'message:' .. id end
  call('DEL', unpack(ended))
end
