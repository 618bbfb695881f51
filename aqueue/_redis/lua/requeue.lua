-- flags: allow-oom
-- requeue: failed, stopped, canceled, expired or finished -> queued
--
-- Starts the jobs' next incarnation: the old outcome goes to the history, the three counters start at
-- zero, the ttl runs anew, and the record loses its own TTL.
--
-- Replies  a word per job:  "ok";  "missing";  or the status that does not allow it
local reply_key  = KEYS[1] -- string the remembered answer
local queues_key = KEYS[2] -- set    queue names
local prefix     = ARGV[1] -- str    of all keys
local at_front   = ARGV[2] -- str    "1" or ""
-- ARGV[3...] ids, at most 100

-- include: clock
-- include: once
-- include: typed
-- include: place
-- include: fence
-- include: wake
-- include: history
-- include: integer
-- include: registry

local known = answered()
if known then
  return known
end
local FIELDS = {
  "status", "queue", "priority", "ttl", "started_at", "ended_at", "worker_name", "token", "error_type",
  "error_message", "exc_info", "gone", "settled", "fence", "incarnation",
}
local jobs = {}
redis.call("SCARD", queues_key)
for i = 3, #ARGV do
  local h = redis.call("HMGET", prefix .. "job:" .. ARGV[i], unpack(FIELDS))
  jobs[#jobs + 1] = h
  if h[1] then
    typed(h[2], "queue", "expiring", "finished", "failed", "canceled", "expired")
    redis.call("GET", prefix .. "result:" .. ARGV[i])
    redis.call("LLEN", prefix .. "history:" .. ARGV[i])
  end
end

local function requeue(id, h)
  local queue, job_key = h[2], prefix .. "job:" .. id
  local value = h[11] or redis.call("GET", prefix .. "result:" .. id) or ""
  remember(id, h[1], h[5], h[6], h[7] or string.match(h[8] or "", "^[^:]*"), h[9], h[10], value)
  redis.call("ZREM", prefix .. REGISTRY[h[1]] .. ":" .. queue, id)
  redis.call("UNLINK", prefix .. "result:" .. id)
  redis.call("HDEL", job_key, "started_at", "ended_at", "worker_name", "token", "settled", "request", "place")
  redis.call("HDEL", job_key, "exc_info", "error_type", "error_message", "attempts", "lost", "releases", "misses")
  local place = at_front == "1" and first_place(queue, h[3]) or next_place(queue, h[3])
  redis.call("HSET", job_key, "status", "queued", "enqueued_at", later(0), "incarnation", whole((integer(h[15]) or 0) + 1))
  redis.call("HSET", job_key, "fence", whole(fence_of(h[8], h[13], h[14])))
  redis.call("PERSIST", job_key)
  redis.call("PERSIST", prefix .. "history:" .. id)
  redis.call("ZADD", prefix .. "queue:" .. queue, place, id)
  if integer(h[4]) then
    redis.call("ZADD", prefix .. "expiring:" .. queue, whole(now + integer(h[4])), id)
  end
  redis.call("SADD", queues_key, queue)
  wake(queue)
end

local words, done = {}, {}
for n, h in ipairs(jobs) do
  local id = ARGV[n + 2]
  if not h[1] or h[12] then
    words[n] = "missing"
  elseif done[id] then
    words[n] = "queued"
  elseif not REGISTRY[h[1]] then
    words[n] = h[1]
  else
    requeue(id, h)
    words[n] = "ok"
    done[id] = true
  end
end
return answer(words)
