-- typed(queue, ...): read a queue's zsets and its meta once before the first write, so that a
-- foreign key of another type stops the script while nothing is changed yet. Of the lists that a script
-- gives for one queue, a longer one holds all of a shorter one.
local typed_queues = {}
local function typed(queue, ...)
  if not queue then
    error("aqueue: a job's record names no queue, which `aqueue doctor` mends", 2)
  end
  local count = select("#", ...)
  if (typed_queues[queue] or 0) >= count then
    return
  end
  typed_queues[queue] = count
  for _, registry in ipairs({ ... }) do
    redis.call("ZCARD", prefix .. registry .. ":" .. queue)
  end
  redis.call("HLEN", prefix .. "meta:" .. queue)
  redis.call("LLEN", prefix .. "wake:" .. queue)
end
