-- Starts granted messages: the last check before they go to SES. From here on they may have left. After
-- messages.lua.
--
-- ARGV[3] largest content to return (bytes)   [4…] id, claim_id, id, claim_id, …
-- Returns for each {JSON of the NEEDED fields of its record, content size (bytes), content or '', time left
-- until it expires (s) or ''}; {} if this claim may not send it any more; {'expired'} if it has expired
-- since the claim. For a packed row the JSON is empty.

local limit = tonumber(ARGV[3])

-- Returns the size of a content (bytes), and the content if it is within the limit.
local function read_content(key)
  local content = call('GETRANGE', key, 0, limit)
  if #content <= limit then return #content, content end
  return call('STRLEN', key), ''
end

local NEEDED = {
  'state', 'claim_id', 'packed', 'expires_at', 'attempts', 'rate', 'sender', 'to', 'cc', 'bcc', 'reply_to',
  'subject', 'tags', 'configuration_set', 'tenant', 'feedback_to', 'contact_list', 'topic', 'track',
  'on_unknown', 'kind', 'other_senders',
}

local NEEDED_OF_ROW = {'packed', 'state', 'claim_id'}

-- Reads the needed fields of a record; fewer fields for a packed row.
local function read_record(id, key)
  local row = string.find(id, '-', 1, true) and read_fields(key, NEEDED_OF_ROW)
  return row and row.packed and row or read_fields(key, NEEDED)
end

local function start(id, claim_id)
  local key = A .. 'message:' .. id
  local record = read_record(id, key)
  if record.state ~= 'sending' or record.claim_id ~= claim_id then return {} end
  local expires = tonumber(record.expires_at)
  if expires and expires <= now() then return {'expired'} end
  call('HSET', key, 'started_at', now_as_text())
  if record.packed then return {'', 0, '', ''} end
  local size, content = read_content(A .. 'content:' .. id)
  local left = expires and string.format('%.6f', expires - now()) or ''
  return {cjson.encode(record), size, content, left}
end

local answers = {}

local function main()
  for i = 4, #ARGV, 2 do answers[#answers + 1] = start(ARGV[i], ARGV[i + 1]) end
  return answers
end
