-- Tells which run of which Redis server this is. After damage.lua.

-- After a fail-over or a crash, another server, or another run of it, may lack the last writes.
local about
function Server.about(what)
  about = about or redis.pcall('INFO', 'server')
  return type(about) == 'string' and string.match(about, what) or ''
end
function Server.run_id() return Server.about('run_id:(%x+)') end
