-- promote(queue): scheduled -> queued for at most 100 jobs that are due. Their ttl runs from the due
-- time, unless they have run before. Returns how many were due.
-- include: facts
-- include: integer
local function promote(queue)
  local scheduled_key = prefix .. "scheduled:" .. queue
  local due = redis.call("ZRANGEBYSCORE", scheduled_key, "-inf", whole(now), "WITHSCORES", "LIMIT", 0, 100)
  for i = 1, #due, 2 do
    local id = due[i]
    local job_key = prefix .. "job:" .. id
    local h = facts(job_key, "status", "priority", "ttl", "attempts", "lost", "releases", "misses")
    redis.call("ZREM", scheduled_key, id)
    if h[1] == "scheduled" then
        redis.call("HSET", job_key, "status", "queued", "enqueued_at", later(0))
      redis.call("ZADD", prefix .. "queue:" .. queue, next_place(queue, h[2]), id)
      local ttl = integer(h[3])
      if ttl and not (h[4] or h[5] or h[6] or h[7]) then
        redis.call("ZADD", prefix .. "expiring:" .. queue, whole(due[i + 1] + ttl), id)
      end
    end
  end
  return #due / 2
end
