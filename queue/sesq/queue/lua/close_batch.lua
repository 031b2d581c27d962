-- Notes that all rows of a batch are here. After messages.lua.
--
-- ARGV[3] id   [4…] the counts of rows that were left out: name, value, …
-- Returns 1, or 0 if the batch is lost.

local function main()
  if call('EXISTS', Batch.key(ARGV[3])) == 0 then return 0 end
  Batch.set(ARGV[3], 'filled', 1, unpack(ARGV, 4))
  Batch.judge(ARGV[3])
  return 1
end
