-- Server: which run of which Redis server this is. After damage.lua.

-- Another server, or another run of it, may lack what was written last: after a fail-over, or a crash.
local about
function Server.about(what)
  about = about or redis.pcall('INFO', 'server')
  return type(about) == 'string' and string.match(about, what) or ''
end
function Server.run_id() return Server.about('run_id:(%x+)') end
