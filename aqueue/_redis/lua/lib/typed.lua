-- typed(queue, ...): read a queue's zsets and its meta once before the first write, so that a
-- foreign key of another type stops the script while nothing is changed yet.
local typed_queues = {}
local function typed(queue, ...)
  if typed_queues[queue] then
    return
  end
  typed_queues[queue] = true
  for _, registry in ipairs({ ... }) do
    redis.call("ZCARD", prefix .. registry .. ":" .. queue)
  end
  redis.call("HLEN", prefix .. "meta:" .. queue)
  redis.call("LLEN", prefix .. "wake:" .. queue)
end
