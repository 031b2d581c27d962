-- The ledger: recipients of the rolling 24 hours, in one-minute counts. After damage.lua and jobs.lua.
--
-- Keys, A = "sesq:<account>:"
--   A ledger   string   1,442 counts, 4 bytes each, little-endian; minute m is in slot m mod 1,442
--   A tenant_day:<name>   string   the same of a tenant: see tenants.lua
-- A slot is used again 1,442 minutes later. By then it is over a day old, with a minute for mail that was
-- on its way. In Lua the ledger is a table of
--   key       its key            minute   the newest (minutes since the epoch)      total   recipients in it
--   cleared   the slots of the minutes after this one still hold counts of the day before
--   lost      nothing of it is known       cells   the string, once it is read
--   added     recipients of the newest minute that are not written to it yet

local SLOTS = 1442

function Ledger.count_in(ledger, m)
  ledger.cells = ledger.cells or call('GET', ledger.key) or ''
  local at = m % SLOTS * 4
  local n = #ledger.cells >= at + 4 and struct.unpack('<I4', ledger.cells, at + 1) or 0
  return m == ledger.minute and n + ledger.added or n
end

function Ledger.count_anew(ledger)
  ledger.total = 0
  for m = ledger.minute - SLOTS + 1, ledger.cleared do
    ledger.total = ledger.total + Ledger.count_in(ledger, m)
  end
end

-- Notes that counts of the last day are lost: nothing goes before the next sync.
function Ledger.lose(ledger) if ledger.key == A .. 'ledger' then Damage.lose_books() end end

-- Opens the ledger. minute, total: the last values; nil if lost. key: a tenant's; nil for the account's.
function Ledger.open(minute, total, key)
  local today = math.floor(now() / 60)
  key = key or A .. 'ledger'
  local ledger = {key = key, minute = minute, total = total or 0, cleared = minute, added = 0}
  ledger.lost = not minute or today - minute >= SLOTS
  if ledger.lost then ledger.minute, ledger.cleared, ledger.total = today, today, 0
  elseif today > minute then
    ledger.minute = today
    Ledger.count_anew(ledger)
    if total and total > 0 and ledger.cells == '' then Ledger.lose(ledger) end -- the key was deleted
  end
  return ledger
end

function Ledger.clear_slot(ledger, m)
  call('SETRANGE', ledger.key, m % SLOTS * 4, struct.pack('<I4', 0))
end
function Ledger.clear_old_slots(ledger)
  if ledger.lost then call('DEL', ledger.key) end
  for m = ledger.cleared + 1, ledger.minute do
    if Ledger.count_in(ledger, m) > 0 then Ledger.clear_slot(ledger, m) end
  end
  if ledger.lost or ledger.cleared < ledger.minute then ledger.cells = nil end
  ledger.lost, ledger.cleared = false, ledger.minute
end

-- Counts n more recipients in the newest minute.
function Ledger.count(ledger, n) ledger.added, ledger.total = ledger.added + n, ledger.total + n end

-- Changes the count of a minute by n, which may be below zero.
function Ledger.change_count(ledger, m, n)
  local at = m % SLOTS * 4
  local cell = call('GETRANGE', ledger.key, at, at + 3)
  local old = #cell == 4 and struct.unpack('<I4', cell) or 0
  local new = math.max(0, old + n)
  if new ~= old then call('SETRANGE', ledger.key, at, struct.pack('<I4', new)) end
  ledger.cells = nil
  return new - old
end

-- Removes n recipients from a minute.
function Ledger.uncount(ledger, m, n)
  Ledger.clear_old_slots(ledger)
  ledger.total = ledger.total + Ledger.change_count(ledger, m, -n)
end

function Ledger.close(ledger)
  Ledger.clear_old_slots(ledger)
  local is_gone = ledger.added > 0 and ledger.total > ledger.added and call('EXISTS', ledger.key) == 0
  if is_gone then Ledger.lose(ledger) end -- the key was deleted
  if ledger.added > 0 then Ledger.change_count(ledger, ledger.minute, ledger.added) end
  ledger.added = 0
end

-- Returns when `excess` recipients have left the ledger (s); nil if it holds fewer.
function Ledger.freed_at(ledger, excess)
  if excess <= 0 then return now() end
  for m = ledger.minute - SLOTS + 1, ledger.lost and 0 or ledger.cleared do
    excess = excess - Ledger.count_in(ledger, m)
    if excess <= 0 then return (m + SLOTS) * 60 end
  end
end
