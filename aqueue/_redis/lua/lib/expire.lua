-- expire(id, queue, failure_ttl): queued -> expired; the caller takes it out of the queue.
local function expire(id, queue, failure_ttl)
  redis.call("HSET", prefix .. "job:" .. id, "status", "expired", "ended_at", whole(now))
  file_ended(id, queue, "expired", kept("expired", failure_ttl))
end
