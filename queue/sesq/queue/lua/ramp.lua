-- A ramp: a cap on the recipients of 24 hours that grows by the same factor each day. After
-- jobs.lua.
--
-- Keys, A = "sesq:<account>:"
--   A policy   hash, its field `ramp`   JSON: from, to (recipients in 24 h: the first cap and the last), days
--                (from the first to the last), began (s), grown (s of growth until `at`), at (s: since
--                when it grows; missing while it stands still), since (s: since when it stands still), why
-- In Lua it is the same as a table. Its days are counted from 0: from day `days` on the cap is `to`.

local DAY_SECONDS, MOST_RAMP_DAYS = 86400, 366
local INSTANT = 1e-3 -- s: a day begins so much earlier, so that rounding does not make it begin late

-- Reads a ramp from a text; nil if there is none, or if it is damaged.
function Ramp.read(text)
  local ramp = read_table(text)
  for _, name in ipairs({'from', 'to', 'days', 'grown'}) do ramp[name] = tonumber(ramp[name]) or -1 end
  if ramp.from < 1 or ramp.to < ramp.from or ramp.days < 1 or ramp.grown < 0 then return nil end
  ramp.days = math.min(math.floor(ramp.days), MOST_RAMP_DAYS)
  ramp.at = tonumber(ramp.at)
  return ramp
end

-- Returns the seconds for which it has grown until now.
function Ramp.grown(ramp) return ramp.grown + (ramp.at and math.max(0, now() - ramp.at) or 0) end

function Ramp.day(ramp)
  return math.min(ramp.days, math.floor((Ramp.grown(ramp) + INSTANT) / DAY_SECONDS))
end

-- Returns when a day begins (s), if the ramp does not stand still before; math.huge while it stands still.
function Ramp.begins(ramp, day) return ramp.at and ramp.at + day * DAY_SECONDS - ramp.grown or math.huge end

-- Returns the cap of a day (recipients in 24 hours).
function Ramp.cap(ramp, day)
  if day >= ramp.days then return ramp.to end
  return math.min(ramp.to, math.floor(ramp.from * (ramp.to / ramp.from) ^ (day / ramp.days) + 1e-6))
end

-- Limits a day of `ceiling` recipients. Returns the limit now, the limit from the ramp's next day on, and
-- when that day begins (s; math.huge: never by itself).
function Ramp.limit(ramp, ceiling)
  if not ramp then return ceiling, ceiling, math.huge end
  local day = Ramp.day(ramp)
  local next_at = day < ramp.days and Ramp.begins(ramp, day + 1) or math.huge
  return math.min(ceiling, Ramp.cap(ramp, day)), math.min(ceiling, Ramp.cap(ramp, day + 1)), next_at
end

-- Describes a ramp for people and forecasts, with each day to come {s, recipients}.
function Ramp.tell(ramp)
  if not ramp then return nil end
  local day, steps = Ramp.day(ramp), {}
  for each = day + 1, ramp.at and ramp.days or 0 do
    steps[#steps + 1] = {Ramp.begins(ramp, each), Ramp.cap(ramp, each)}
  end
  return {
    from = ramp.from, to = ramp.to, days = ramp.days, began = tonumber(ramp.began) or 0, day = day,
    cap = Ramp.cap(ramp, day), steps = steps, since = tonumber(ramp.since),
    why = type(ramp.why) == 'string' and ramp.why or nil,
  }
end
