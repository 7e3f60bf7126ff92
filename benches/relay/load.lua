-- What wrk sends and checks. Arguments: the file of the body, and either the length of a whole answer or the
-- file of the last bytes of a stream. Prints one line of JSON at the end.

local threads = {}

local function read(path)
  local file = assert(io.open(path, "rb"))
  local content = file:read("*a")
  file:close()
  return content
end

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  good, bad = 0, 0
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.body = read(args[1])
  length = tonumber(args[2])
  ending = length == nil and read(args[2])
end

-- The end of a stream is where a cut one differs from a complete one.
function response(status, headers, body)
  local complete
  if length then
    complete = #body == length
  else
    complete = body:sub(-#ending) == ending
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
