-- Polls of random sites, all with one key.
local folder = debug.getinfo(1).source:match("@(.*/)")
dofile(folder .. "common.lua")

function init(arguments)
   local sites = begin(arguments)
   for site = 1, sites do
      requests[site] = wrk.format("GET", "/api/realtime?siteId=site_" .. site,
         {["Authorization"] = "Bearer ph_live_bench_read"})
   end
end
