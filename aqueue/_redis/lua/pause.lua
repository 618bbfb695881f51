-- flags: allow-oom
-- pause, resume: whether claims pass over a queue; jobs keep their status
--
-- Resuming wakes a worker, also when no jobs wait: a scheduled one may be due.
--
-- Replies  {"ok"}
local queue_key  = KEYS[1] -- zset  waiting ids
local meta_key   = KEYS[2] -- hash  the queue's paused flag
local wake_key   = KEYS[3] -- list  wake tokens
local queues_key = KEYS[4] -- set   queue names
local queue      = ARGV[1] -- str   the queue's name
local paused     = ARGV[2] -- str   "1" or ""

local tokens = redis.call("LLEN", wake_key)
redis.call("ZCARD", queue_key)
redis.call("SCARD", queues_key)
if paused == "1" then
  redis.call("HSET", meta_key, "paused", "1")
  redis.call("DEL", wake_key)
  redis.call("SADD", queues_key, queue)
else
  redis.call("HDEL", meta_key, "paused")
  if tokens == 0 then
    redis.call("LPUSH", wake_key, "1")
  end
end
return { "ok" }
