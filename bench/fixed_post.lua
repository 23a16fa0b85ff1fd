-- POST /post, the handler that reads a signal and returns the fixed bytes of /api/track.
local folder = debug.getinfo(1).source:match("@(.*/)")
dofile(folder .. "common.lua")

function init(arguments)
   begin(arguments)
   requests[1] = wrk.format("POST", "/post", {
      ["Content-Type"] = "application/json",
      ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
   }, '{"siteId":"site_123","type":"pageview","path":"/page/123","referrer":"https://www.google.com/"}')
end
