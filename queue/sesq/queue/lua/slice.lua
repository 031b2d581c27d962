-- How the recipients of a chunk are granted: in slices, each a run of rows under one claim. After gate.lua; keys in batch.lua, and
--   A slices                   zset  "<chunk>:<start>:<claim>" -> time the lease of its worker runs out (s)
--   A slice:<the same>         hash  chunk, start, end (exclusive), execution, worker, claimed (s), posted (rows before this one may have left),
--                                    day (recipients a row counts towards the day: 1 or 0), left (rows not settled), <row> = 1
--                                    for each row that is, and of those with new tokens (see again.lua) renewed = 1 and
--                                    tokens_at:<row> (s: when they were taken; '' where none are out)

-- The rows that go next: start, end, what remains to be redone (nil where nothing is), and what each counts towards the day.
local function next_rows(c)
  local from, to, rest = string.match(c.redo, '^(%d+)-(%d+) ?(.*)$')
  local start = tonumber(from) or c.cursor
  local counts = start < c.counted
  return start, tonumber(to) or (counts and c.counted or c.n), rest, counts and 1 or 0
end

-- Grants the first m rows of those that go next: one slice.
local function grant_rows(c, m, execution, worker, lease)
  local start, stop, rest, day = next_rows(c)
  take(m, lease)
  if day > 0 then count(minute, m) end
  if rest then c.redo = start + m < stop and (start + m) .. '-' .. stop .. (rest ~= '' and ' ' .. rest or '') or rest
  else c.cursor = start + m end
  c.out = c.out + 1
  local name = c.id .. ':' .. start .. ':' .. execution -- rows that came back may be granted while others are out
  call('HSET', A .. 'slice:' .. name, 'chunk', c.id, 'start', start, 'end', start + m, 'execution', execution, 'worker', worker,
       'claimed', now, 'posted', 0, 'day', day, 'left', m)
  call('ZADD', A .. 'slices', now + lease, name)
  tally(c.batch, 'waiting', 'leaving', m)
  seat(c, worker)
  return {c.id, start, start + m, name}
end

-- When the tokens of a row were taken (s); nil where none are out.
local function row_tokens_at(name, row, claimed, renewed)
  return tonumber(renewed and call('HGET', A .. 'slice:' .. name, 'tokens_at:' .. row) or claimed)
end

-- n rows of a slice are settled; the last ones end it.
local function settle_rows(c, name, n)
  if n > 0 and call('HINCRBY', A .. 'slice:' .. name, 'left', -n) <= 0 then
    call('DEL', A .. 'slice:' .. name)
    call('ZREM', A .. 'slices', name)
    c.out = c.out - 1
  end
  seat(c)
end
