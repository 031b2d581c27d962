-- Settle: what became of rows of a slice: taken by SES, or never sent. After lifecycle.lua, gate.lua and slice.lua.
--
-- ARGV[3] slice   [4] execution   [5] JSON {taken: [[row, MessageId], …], back: [row, …] in order}
-- Rows that go back are granted first, with their rate and their day given back. Returns the rows that could not be settled:
-- they were judged before. A MessageId counts whoever holds the slice by now, so long as its row was not judged.

local name, execution, o = ARGV[3], ARGV[4], cjson.decode(ARGV[5])
local key = A .. 'slice:' .. name
local s = call('HMGET', key, 'chunk', 'execution', 'claimed', 'day', 'renewed')
local refused, log, taken, runs, back = {}, {}, 0, {}, 0
local c = s[1] and read_chunk(s[1])

for _, pair in ipairs(o.taken) do
  if c and call('HSETNX', key, pair[1], 1) == 1 then
    log[#log + 1] = pair[1] .. ':' .. pair[2]
    taken = taken + 1
    account(row_tokens_at(name, pair[1], s[3], s[5]), 1, 0)
  else refused[#refused + 1] = pair[1] end
end
for _, row in ipairs(o.back) do
  if c and s[2] == execution and call('HSETNX', key, row, 1) == 1 then
    local run = runs[#runs]
    if run and run[2] == row then run[2] = row + 1 else runs[#runs + 1] = {row, row + 1} end
    back = back + 1
    account(row_tokens_at(name, row, s[3], s[5]), 0, 1)
  else refused[#refused + 1] = row end
end

if taken > 0 then
  call('APPEND', A .. 'log:' .. s[1], string.format('%.3f ', now) .. table.concat(log, ' ') .. '\n')
  tally(c.batch, 'leaving', 'taken', taken)
  note('sent', taken)
end
if back > 0 then
  local m = math.floor((tonumber(s[3]) or now) / 60)
  if s[4] == '1' and minute - m < SLOTS then count(m, -back) end
  for i, run in ipairs(runs) do runs[i] = run[1] .. '-' .. run[2] end
  c.redo = table.concat(runs, ' ') .. (c.redo ~= '' and ' ' .. c.redo or '')
  tally(c.batch, 'leaving', c.state == 'cancelled' and 'cancelled' or 'waiting', back)
end
if c then settle_rows(c, name, taken + back) end
if back > 0 then wake(c.queue) end
return refused
