-- Sends the check-ins of a file repeatedly. A line of the file is an address, a tab and a body.
-- The last line of the output has the results, which the benchmark reads.

local requests, sent = {}, 0

function init(args)
  for line in io.lines(args[1]) do
    local address, body = line:match("^(%S+)\t(.*)$")
    local headers = {
      ["X-Forwarded-For"] = address,
      ["X-Request-Id"] = string.format("%032x", #requests),
      ["Content-Type"] = "application/json",
    }
    requests[#requests + 1] = wrk.format("POST", "/v1/checkupgrade", headers, body)
  end
end

function request()
  sent = sent + 1
  return requests[sent % #requests + 1]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("result %d %d %d %d %d %d\n", summary.requests, failed, summary.duration,
    latency:percentile(50), latency:percentile(99), latency.max))
end
