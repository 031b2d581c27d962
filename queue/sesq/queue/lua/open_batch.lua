-- Open: a batch begins, or goes on where its producer died. After messages.lua; also
-- sesq:accounts (set: the names of all accounts).
--
-- ARGV[3] id   [4] template, packed
--     [5] stop:bounces   [6] stop:complaints (%, or ''): until the batch is filled, the last ones given apply
--     [7] time before which nothing of it goes (s), or ''   [8…] the batch's hash: name, value, …
-- Returns {chunks that are here already, filled (0/1), state}; -1 chunks if that number is damaged

local bid, template, bounces, complaints, starts = ARGV[3], ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
local described = {unpack(ARGV, 8)}

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
    if is_lost then return {Batch.count_chunks(bid) or -1, 0, Batch.state_of(bid)} end
    begin()
  end
  Batch.set(bid, unpack(described)) -- the same as before, unless it was damaged
  local filled = Batch.read(bid, 'filled')
  if filled == '0' then Batch.set(bid, 'stop:bounces', bounces, 'stop:complaints', complaints) end
  return {Batch.count_chunks(bid) or -1, tonumber(filled) or 0, Batch.state_of(bid)}
end
