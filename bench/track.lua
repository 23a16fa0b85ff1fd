-- Single signals of browsers: random site, page and User-Agent.
local folder = debug.getinfo(1).source:match("@(.*/)")
dofile(folder .. "common.lua")

function init(arguments)
   local sites = begin(arguments)
   for index = 1, 4096 do
      local body = string.format('{"siteId":"site_%d","type":"pageview","path":"/page/%d","referrer":"https://www.google.com/"}',
         math.random(sites), math.random(300))
      requests[index] = wrk.format("POST", "/api/track", {
         ["Content-Type"] = "application/json",
         ["User-Agent"] = string.format("Mozilla/5.0 (X11; Linux x86_64; rv:%d.0) Gecko/20100101 Firefox/%d.0",
            100 + index % 50, 100 + index % 1000),
      }, body)
   end
end
