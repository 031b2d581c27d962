-- Functions for the scripts of the auditor. After messages.lua.

local did = {} -- what was done, in words
function Mend.say(...) did[#did + 1] = string.format(...) end

-- Removes the job's entries from RQ's registries of running jobs, except those that are right.
function Mend.drop_runs(runs, is_right)
  for _, run in ipairs(runs) do
    local queue, entry = unpack(run)
    if not is_right(entry) then
      call('ZREM', R .. 'wip:' .. queue, entry)
      Mend.say('taken out of those that run')
    end
  end
end

-- Marks an id as stale in lanes in which it should not be.
function Mend.leave_lanes(id, lanes)
  for _, queue in ipairs(lanes) do
    Job.mark_stale(queue, id)
    Mend.say('its entry in queue %s is called stale', queue)
  end
end

-- Whether RQ shows a job as one of that state, running under that entry.
function Mend.is_shown_as(id, queue, state, entry)
  local registry, lane = RQ_STATE[state], Job.lane_of(queue)
  local right = call('HGET', R .. 'job:' .. id, 'status') == Job.status_of(state)
  for _, name in ipairs(REGISTRIES) do
    right = right and (name == registry) == (call('ZSCORE', R .. name .. ':' .. lane, id) and true or false)
  end
  return right and (registry ~= 'wip' or call('ZSCORE', R .. 'wip:' .. lane, entry) == 'inf')
end

-- Puts a job where its state belongs. in_lane: it is in its own lane already.
function Mend.show_as(id, queue, state, keep, in_lane, opts)
  local registry = RQ_STATE[state]
  if registry == 'queue' and in_lane then
    for _, name in ipairs(REGISTRIES) do call('ZREM', R .. name .. ':' .. Job.lane_of(queue), id) end
    call('HSET', R .. 'job:' .. id, 'status', Job.status_of(state))
  else
    Job.place(id, queue, state, keep, opts)
  end
  Mend.say('put into %s', registry == 'queue' and 'its lane' or 'what RQ calls ' .. registry)
end
