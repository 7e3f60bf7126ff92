-- What wrk sends and checks. Arguments: whole | stream. Prints one line of JSON at the end.

local streamed = false
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  streamed = args[1] == "stream"
  good, bad = 0, 0
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.body = '{"model":"bench","messages":[{"role":"user","content":"' .. string.rep("word ", 40)
    .. '"}]' .. (streamed and ',"stream":true' or "") .. "}"
end

-- The end of a stream is where a cut one differs from a complete one.
function response(status, headers, body)
  local complete
  if streamed then
    complete = body:sub(-14) == "data: [DONE]\n\n"
  else
    complete = #body == 1024
  end
  if status == 200 and complete then
    good = good + 1
  else
    bad = bad + 1
  end
end

function done(summary, latency, requests)
  local good_answers, bad_answers = 0, 0
  for _, thread in ipairs(threads) do
    good_answers = good_answers + thread:get("good")
    bad_answers = bad_answers + thread:get("bad")
  end
  local errors = summary.errors
  io.write(string.format(
    '\n{"good":%d,"bad":%d,"errors":%d,"seconds":%.6f,"p50_us":%d,"p99_us":%d}\n',
    good_answers, bad_answers, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6, latency:percentile(50), latency:percentile(99)))
end
