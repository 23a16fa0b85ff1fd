-- Polls of random sites, each with the key of its site.
local folder = debug.getinfo(1).source:match("@(.*/)")
dofile(folder .. "common.lua")

function init(arguments)
   local sites = begin(arguments)
   for site = 1, sites do
      requests[site] = wrk.format("GET", "/api/realtime?siteId=site_" .. site,
         {["Authorization"] = "Bearer ph_live_bench_read_" .. site})
   end
end
