-- Values: what is read from Redis counts only if it can be used. Before every other file.

-- The functions of each file of the library stand in a table of their own: Job.place() is in jobs.lua.
local Damage, Write, Job, Batch, Chunk, Message, Row = {}, {}, {}, {}, {}, {}, {}
local Server, Bucket, Ramp, Limits, Ledger, Tenant, Gate = {}, {}, {}, {}, {}, {}, {}
local Mend, Stream, Share, Window, Origin = {}, {}, {}, {}, {}

-- nil for what is none, and if it is not an amount and no time: nan, inf, 1e300.
local FARTHEST, read_number = 1e15, tonumber
local function tonumber(given)
  local number = given and read_number(given)
  return number and number > -FARTHEST and number < FARTHEST and number or nil
end

-- Whether a field that may be empty or a number is neither.
local function is_broken(field) return (field or '') ~= '' and not tonumber(field) end

-- A whole number, as a counter or a place in a list has it.
local function read_whole(given) return string.find(given or '', '^%d+$') and tonumber(given) or nil end

-- The table that a text of JSON holds; an empty one where it holds none.
local function read_table(text)
  local done, value = pcall(cjson.decode, text or '')
  return done and type(value) == 'table' and value or {}
end
