-- Polls of random sites, each with the key of its site: of all of them, or of those whose numbers a third argument lists.
local folder = debug.getinfo(1).source:match("@(.*/)")
dofile(folder .. "common.lua")

function init(arguments)
   local sites = begin(arguments)
   local function add(site)
      requests[#requests + 1] = wrk.format("GET", "/api/realtime?siteId=site_" .. site,
         {["Authorization"] = "Bearer ph_live_bench_read_" .. site})
   end
   if arguments[3] then
      arguments[3]:gsub("%d+", add)
   else
      for site = 1, sites do
         add(site)
      end
   end
end
