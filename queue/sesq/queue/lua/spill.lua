-- Spill: a row that was not simply taken gets a record of its own, as if it had been a message being sent. Put before
-- settle.lua, which then says what became of it. After lifecycle.lua, gate.lua and slice.lua.
--
-- ARGV[3] JSON for settle.lua   [4] slice   [5] row   [6] n: how many of the following belong to the record
--     [7…6+n] name, value, …   [7+n…] RQ's job: name, value, …
-- Returns 0 where the row was judged before.

do
  local name, n = ARGV[4], tonumber(ARGV[6])
  local given = cjson.decode(ARGV[3])
  local s = call('HMGET', A .. 'slice:' .. name, 'chunk', 'execution', 'worker', 'claimed', 'day', 'renewed')
  local c = s[1] and read_chunk(s[1])
  if not c or s[2] ~= given.execution or call('HSETNX', A .. 'slice:' .. name, ARGV[5], 1) == 0 then return 0 end
  local id = given.id
  local begun = call('HGET', A .. 'batch:' .. c.batch, 'created')
  call('HSET', A .. 'message:' .. id, 'state', 'sending', 'since', now, 'created', begun, 'queue', c.queue, 'reason', '',
       'history', cjson.encode({tonumber(begun), 'queued', 'in batch ' .. c.batch}) .. '\n' .. cjson.encode({tonumber(s[4]), 'sending', s[3]}),
       'batch', c.batch, 'rate', 1, 'day', s[5], 'execution', s[2], 'worker', s[3], 'claimed', s[4], 'tokens_at', row_tokens_at(name, ARGV[5], s[4], s[6]) or '', 'posted', s[4],
       'keep', c.keep,
       unpack(ARGV, 7, 6 + n))
  call('SET', A .. 'content:' .. id, id)
  call('SADD', A .. 'spilled:' .. c.batch, id)
  call('ZADD', A .. 'state:sending', now, id)
  call('HSET', R .. 'job:' .. id, 'status', 'started', unpack(ARGV, 7 + n))
  call('ZADD', R .. 'wip:' .. c.queue, '+inf', id .. ':' .. s[2])
  tally(c.batch, 'leaving', 'sending', 1)
  settle_rows(c, name, 1)
end
