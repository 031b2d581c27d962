-- Reads values from Redis, and leaves out those that cannot be used. Before every other file.

-- The functions of each file of the library are in a table of their own: Job.place() is in jobs.lua.
local Damage, Write, Job, Batch, Chunk, Message, Row = {}, {}, {}, {}, {}, {}, {}
local Server, Bucket, Ramp, Limits, Ledger, Tenant, Gate = {}, {}, {}, {}, {}, {}, {}
local Mend, Stream, Share, Window, Origin = {}, {}, {}, {}, {}

-- Returns a number; nil for anything else, and for numbers that are no amount or time: nan, inf, 1e300.
local FARTHEST, read_number = 1e15, tonumber
local function tonumber(given)
  local number = given and read_number(given)
  return number and number > -FARTHEST and number < FARTHEST and number or nil
end

-- Whether a field that should be empty or a number is neither.
local function is_broken(field) return (field or '') ~= '' and not tonumber(field) end

-- Reads a whole number from 0 on; nil for anything else.
local function read_whole(given) return string.find(given or '', '^%d+$') and tonumber(given) or nil end

-- Reads a table from JSON; an empty one if there is none.
local function read_table(text)
  local done, value = pcall(cjson.decode, text or '')
  return done and type(value) == 'table' and value or {}
end
