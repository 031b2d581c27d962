-- Server: which run of which Redis server this is. After damage.lua.

-- Another server, or another run of it, may lack what was written last: after a fail-over, or a crash.
local about
local function about_server(what)
  about = about or redis.pcall('INFO', 'server')
  return type(about) == 'string' and string.match(about, what) or ''
end
local function server_run() return about_server('run_id:(%x+)') end
