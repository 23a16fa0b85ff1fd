-- GET /get, the handler that returns fixed bytes; with the key of a poll, so that as many bytes are sent.
local folder = debug.getinfo(1).source:match("@(.*/)")
dofile(folder .. "common.lua")

function init(arguments)
   begin(arguments)
   requests[1] = wrk.format("GET", "/get?siteId=site_123", {["Authorization"] = "Bearer ph_live_bench_read_123"})
end
