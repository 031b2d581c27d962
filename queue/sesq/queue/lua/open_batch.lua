-- Begins a batch, or continues it after its producer died. After messages.lua; also
-- sesq:accounts (set: the names of all accounts).
--
-- ARGV[3] id   [4] template, packed
--     [5] stop:bounces   [6] stop:complaints (%, or ''): the last given values count until the batch is
--     filled
--     [7] time at which it starts (s), or ''   [8] its send window, or ''
--     [9] the column of its rows that names a time zone, or ''   [10…] the batch's hash: name, value, …
-- Returns {chunks that are here already, filled (0/1), state, the window with which it was begun, its
-- zone column}; -1 chunks if that number is damaged. Nothing has changed if it was begun with another window
-- or column, because the chunk of each row depends on them.

local bid, template, bounces, complaints, starts = ARGV[3], ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
local window, zone_column, described = ARGV[8], ARGV[9], {unpack(ARGV, 10)}

local function begin()
  Batch.set(bid, 'state', 'running', 'reason', '', 'created', now(), 'filled', 0, 'chunks', 0, 'jobs', 0)
  call('SET', A .. 'template:' .. bid, template)
  call('ZADD', A .. 'batches', now(), bid)
  call('SADD', 'sesq:accounts', ARGV[1])
  if starts and starts > now() then
    Batch.set(bid, 'state', 'paused', 'reason', 'its time has not come', 'starts_at', starts)
    call('ZADD', A .. 'starting', starts, bid)
  end
end

local function main()
  if call('EXISTS', Batch.key(bid)) == 0 then
    local is_lost = call('EXISTS', A .. 'template:' .. bid, A .. 'chunk:' .. bid .. '-0') > 0
    if is_lost then return {Batch.count_chunks(bid) or -1, 0, Batch.state_of(bid), window, zone_column} end
    begin()
  end
  local filled, was, was_column = Batch.read(bid, 'filled', 'window', 'zone_column')
  was, was_column = was or window, was_column or zone_column -- lost fields get the given values
  if was ~= window or was_column ~= zone_column then
    return {0, tonumber(filled) or 0, Batch.state_of(bid), was, was_column}
  end
  -- the same as before, unless it was damaged
  Batch.set(bid, 'window', window, 'zone_column', zone_column, unpack(described))
  if window ~= '' then call('SADD', A .. 'with_windows', bid) end
  if filled == '0' then Batch.set(bid, 'stop:bounces', bounces, 'stop:complaints', complaints) end
  return {Batch.count_chunks(bid) or -1, tonumber(filled) or 0, Batch.state_of(bid), window, zone_column}
end
