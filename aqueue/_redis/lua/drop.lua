-- flags: allow-oom
-- drop: forget a queue's name, counters and paused flag, once nothing of it is left
--
-- Replies  {"ok"};  {"in_use"}  some registry still lists jobs
local queues_key = KEYS[1] -- set   queue names
local prefix     = ARGV[1] -- str   of all keys
local queue      = ARGV[2] -- str   the queue's name

for _, registry in ipairs({ "queue", "scheduled", "deferred", "started", "finished", "failed", "canceled", "expired" }) do
  if redis.call("ZCARD", prefix .. registry .. ":" .. queue) > 0 then
    return { "in_use" }
  end
end
redis.call("SREM", queues_key, queue)
redis.call("UNLINK", prefix .. "meta:" .. queue, prefix .. "wake:" .. queue, prefix .. "expiring:" .. queue)
return { "ok" }
