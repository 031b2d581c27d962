-- Rows on their way: `message:<id>` of each is that of a message that is being sent, as far as the gate, the
-- lease and the answer need it. What is simply sent, or given back, goes into its chunk again; all else makes
-- a message of it. After messages.lua.

local touched = {} -- the chunks of such rows, read once: see write_chunks()
local ended = {}   -- ids of rows that have gone into their chunk again

local function chunk_of_row(id)
  local name, row = string.match(id, '^(.*)-(%d+)$')
  if touched[name] == nil then
    local chunk = read_chunk(name)
    if chunk then chunk.sent, chunk.back = {}, 0 end
    touched[name] = chunk or false
  end
  return touched[name], tonumber(row)
end

-- result: see settle.lua. Returns the state that it came to; nil where it needs a record.
function end_row(message, to, result)
  if to ~= 'sent' and not (to == 'queued' and result.refund_rate) then return nil end
  ended[#ended + 1] = message.id
  local chunk, number = chunk_of_row(message.id)
  if not chunk then return to end
  chunk.out = chunk.out - 1
  if to == 'sent' then chunk.sent[#chunk.sent + 1] = number .. ':' .. result.message_id
  else
    redo_row(chunk, number)
    chunk.back = chunk.back + 1
    if chunk.state == 'cancelled' then return 'cancelled' end
  end
  return to
end

-- The record of a row that had none, and its RQ job. made: envelope, job ({name, value, …}), both as JSON has
-- them.
local function make_record(message, state, since, event, made, ...)
  local id, bid = message.id, message.batch
  local created, queue, keep = read_batch(bid, 'created', 'queue', 'keep')
  created = created or now()
  local queued = cjson.encode({tonumber(created), 'queued', 'in batch ' .. bid})
  set_message(message, 'state', state, 'since', since, 'created', created, 'queue', lane_of(queue),
    'reason', '',
              'history', queued .. '\n' .. cjson.encode(event), 'v', 1, 'envelope', made.envelope, 'batch',
              bid,
              'rate', 1,
              'keep', keep or 3600, ...)
  call('HSET', R .. 'job:' .. id, unpack(made.job))
  call('SADD', A .. 'materialized:' .. bid, id)
  call('ZADD', A .. 'state:' .. state, since, id)
end

-- More happens to a row on its way than being sent: it is a message like any other from here on.
function materialize_row(message, result)
  local id, chunk = message.id, chunk_of_row(message.id)
  make_record(message, 'sending', now(), {tonumber(message.claimed), 'sending', message.worker}, result)
  call('HDEL', A .. 'message:' .. id, 'packed')
  message.packed = nil
  call('SET', A .. 'content:' .. id, id)
  call('HSET', R .. 'job:' .. id, 'status', 'started')
  call('ZADD', R .. 'wip:' .. message.queue, '+inf', id .. ':' .. message.claim_id)
  if chunk then chunk.out = chunk.out - 1 end
  adjust_counts(message.batch, 'leaving', 'sending', 1)
end

-- Writes down what has become of the rows that were settled, and of their chunks. with_gate() does it at the
-- end.
local function write_chunks()
  if #ended > 0 then
    call('ZREM', A .. 'leases', unpack(ended))
    for i, id in ipairs(ended) do ended[i] = A .. 'message:' .. id end
    call('DEL', unpack(ended))
  end
  for _, chunk in pairs(touched) do
    if chunk then
      local sent = #chunk.sent
      if sent > 0 then
        local line = string.format('%.3f ', now()) .. table.concat(chunk.sent, ' ') .. '\n'
        call('APPEND', A .. 'log:' .. chunk.id, line)
        adjust_counts(chunk.batch, 'leaving', 'taken', sent)
        count_states('sent', sent)
      end
      local back_to = chunk.state == 'cancelled' and 'cancelled' or 'waiting'
      adjust_counts(chunk.batch, 'leaving', back_to, chunk.back)
      sync_chunk_job(chunk)
      if chunk.back > 0 then wake(chunk.queue) end
    end
  end
end
