-- Rows on their way: each has a small record at `message:<id>`, with what the gate, the lease and the answer
-- need. The record of a row that is simply sent, or given back unused, ends, and its chunk keeps the outcome.
-- In all other cases the row becomes an ordinary message. After messages.lua.

local make_record, write_chunks
do
  local touched = {} -- name -> chunk of such rows, read once; false for a damaged one: see write_chunks()
  local sent = {}    -- name of a chunk -> {"<row>:<MessageId>", …}: what SES took of it
  local ended = {}   -- ids of rows that have gone into their chunk again

  local function chunk_of_row(id)
    local name, row = string.match(id, '^(.*)-(%d+)$')
    if touched[name] == nil then
      local chunk = read_chunk(name)
      if chunk then chunk.back = 0 end
      touched[name], sent[name] = chunk or false, {}
    end
    return touched[name], tonumber(row), sent[name]
  end

  -- result: see settle.lua. Returns the state that it came to; nil where it needs a record.
  function end_row(message, to, result)
    if to ~= 'sent' and not (to == 'queued' and result.refund_rate) then return nil end
    local chunk, number, taken = chunk_of_row(message.id)
    -- it keeps its record until its chunk is mended; all it took has gone back
    if not chunk and to ~= 'sent' then
      set_message(message, 'tokens_at', '', 'day', '0')
      return to
    end
    ended[#ended + 1] = message.id
    if to == 'sent' then taken[#taken + 1] = number .. ':' .. result.message_id end
    if not chunk then return to end
    chunk.out = chunk.out - 1
    if to == 'sent' then return to end
    redo_row(chunk, number)
    chunk.back = chunk.back + 1
    return chunk.state == 'cancelled' and 'cancelled' or to
  end

  -- The record of a row that had none, and its RQ job. made: envelope, job ({name, value, …}), both as JSON
  -- has them.
  function make_record(message, state, since, event, made, ...)
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

  -- Makes an ordinary message of a row on its way, because more happens to it than being sent.
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

  -- What SES took is written to the log of its chunk, whatever is wrong with that, unless it is gone.
  local function write_log(name, rows)
    count_states('sent', #rows)
    if call('EXISTS', A .. 'chunk:' .. name) == 0 then return end
    call('APPEND', A .. 'log:' .. name, string.format('%.3f ', now()) .. table.concat(rows, ' ') .. '\n')
  end

  local function write_chunk(chunk, taken)
    adjust_counts(chunk.batch, 'leaving', 'taken', taken)
    adjust_counts(chunk.batch, 'leaving', chunk.state == 'cancelled' and 'cancelled' or 'waiting', chunk.back)
    sync_chunk_job(chunk)
    if chunk.back > 0 then wake(chunk.queue) end
  end

  -- Writes down what has become of the rows that were settled, and of their chunks. with_gate() does it at
  -- the end.
  function write_chunks()
    for name, chunk in pairs(touched) do
      if #sent[name] > 0 then write_log(name, sent[name]) end
      if chunk then write_chunk(chunk, #sent[name]) end
    end
    if #ended == 0 then return end
    call('ZREM', A .. 'leases', unpack(ended))
    for i, id in ipairs(ended) do ended[i] = A .. 'message:' .. id end
    call('DEL', unpack(ended))
  end
end
