-- Notes the progress of a batch, for a chart. After jobs.lua.
--
-- Keys, A = "sesq:<account>:"
--   A progress:<bid>  string, expires with its batch  cells of six whole numbers: time (s), then recipients
--                     that SES has taken, and those that are delivered, bounced, complained, failed
--
-- ARGV[3] the batch's id   [4…8] the five counts
-- At most MOST cells stay, however long the batch lasts: if there are more, every second one is dropped.
-- Between the newest two is at least 1/PARTS of the time that all of them span. Returns 1 if a cell was
-- added.

local id = ARGV[3]
local CELL, SIZE, MOST, PARTS = '<I4I4I4I4I4I4', 24, 240, 120
local key = A .. 'progress:' .. id

-- Returns the number of whole cells. Drops the rest of a damaged one.
local function count_cells()
  local length = call('STRLEN', key)
  local cells = math.floor(length / SIZE)
  if cells * SIZE < length then call('SET', key, call('GETRANGE', key, 0, cells * SIZE - 1)) end
  return cells
end

local function cell_at(i) return call('GETRANGE', key, i * SIZE, (i + 1) * SIZE - 1) end

-- Whether the counts differ from the newest cell, and it is time for another one.
local function is_due(cells, counts)
  if cells == 0 then return true end
  local newest = cell_at(cells - 1)
  local first, last = struct.unpack('<I4', cell_at(0)), struct.unpack('<I4', newest)
  local is_news = string.sub(newest, 5) ~= struct.pack('<I4I4I4I4I4', unpack(counts))
  return is_news and now() - last >= (last - first) / PARTS
end

local function drop_every_second(cells)
  local kept = {}
  for i = 0, cells - 1, 2 do kept[#kept + 1] = cell_at(i) end
  call('SET', key, table.concat(kept))
end

local function main()
  local ttl = call('TTL', A .. 'batch:' .. id)
  local cells, counts = count_cells(), {unpack(ARGV, 4, 8)}
  if ttl == -2 or not is_due(cells, counts) then return 0 end
  if cells >= MOST then drop_every_second(cells) end
  call('APPEND', key, struct.pack(CELL, math.floor(now()), unpack(counts)))
  if ttl > 0 then call('EXPIRE', key, ttl) end
  return 1
end
