-- Puts parked chunks of a batch that was resumed, or cancelled, back where their rows belong. After
-- messages.lua.
--
-- ARGV[3] batch   [4] most
-- Returns how many are still parked; 0 if the batch is paused.

local bid, most = ARGV[3], tonumber(ARGV[4])
local parked = A .. 'parked:' .. bid

local function main()
  if Batch.state_of(bid) == 'paused' then return 0 end
  -- the chunk that was parked last goes to the head of the queue first, so that the first one is there in the
  -- end
  for _ = 1, most do
    local id = call('RPOP', parked)
    if not id then break end
    local chunk = Chunk.read(id)
    if chunk and chunk.place == 'held' then Chunk.sync_job(chunk) end
  end
  Job.wake(call('HGET', A .. 'batch:' .. bid, 'queue') or nil)
  return call('LLEN', parked)
end
