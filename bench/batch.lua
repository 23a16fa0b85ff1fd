-- Batches of 100 signals from a server, with a key.
local folder = debug.getinfo(1).source:match("@(.*/)")
dofile(folder .. "common.lua")

function init(arguments)
   local sites = begin(arguments)
   for index = 1, 200 do
      local events = {}
      for event = 1, 100 do
         events[event] = string.format('{"siteId":"site_%d","type":"pageview","path":"/page/%d","visitorId":"v%d","country":"DE"}',
            math.random(sites), math.random(300), math.random(100000))
      end
      requests[index] = wrk.format("POST", "/api/track", {
         ["Content-Type"] = "application/json",
         ["Authorization"] = "Bearer ph_live_bench_write",
      }, '{"batch":true,"events":[' .. table.concat(events, ",") .. "]}")
   end
end
