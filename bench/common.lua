-- Shared by the scripts of wrk: arguments, seeds, a random one of the prepared requests, and the result as one line of JSON.
local threads = 0
requests = {} -- filled by init()

function setup(thread)
   threads = threads + 1
   thread:set("number", threads)
end

function begin(arguments)
   math.randomseed(os.time() * 1000 + number)
   delay_ms = tonumber(arguments[2] or 0)
   if delay_ms == 0 then
      delay = nil -- without the function wrk does not ask
   end
   return tonumber(arguments[1] or 1000)
end

function request()
   return requests[math.random(#requests)]
end

function delay()
   return math.random(0, 2 * delay_ms)
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      'RESULT{"requests": %d, "seconds": %f, "failed": %d, "p50": %f, "p99": %f, "max": %f}\n',
      summary.requests - errors.status, summary.duration / 1e6,
      errors.status + errors.timeout + errors.connect + errors.read + errors.write,
      latency:percentile(50), latency:percentile(99), latency.max))
end
