-- flags: allow-oom
-- cancel: created or waiting -> canceled; started -> asked of its worker
-- mode stop: started -> asked of its worker; mode quarantine: created or waiting -> failed
--
-- A request to a running job is kept in its record, so that it also holds if the lease is lost
-- meanwhile, and told to its worker at once.
--
-- Replies  {"ok", status it has now};  {"missing"};  {"wrong_status", status}
local job_key        = KEYS[1] -- hash   the record
local reply_key      = KEYS[2] -- string the remembered answer
local prefix         = ARGV[1] -- str    of all keys
local job_id         = ARGV[2] -- str
local mode           = ARGV[3] -- str    cancel, stop or quarantine
local error_type     = ARGV[4] -- str    quarantine: class name of the exception
local error_message  = ARGV[5] -- str    quarantine: its message
local failure_ttl_ms = tonumber(ARGV[6]) -- int    default life of failed jobs
local day_ms         = tonumber(ARGV[7]) -- int    life of canceled jobs

-- include: clock
-- include: given
-- include: once
-- include: typed
-- include: kept
-- include: ended

given(failure_ttl_ms, day_ms)
if mode ~= "cancel" and mode ~= "stop" and mode ~= "quarantine" then
  error("aqueue: no such mode")
end
local known = answered()
if known then
  return known
end
local h = redis.call("HMGET", job_key, "status", "queue", "token", "failure_ttl", "gone")
local status, queue = h[1], h[2]
if not status or h[5] then
  return { "missing" }
end
typed(queue, "queue", "scheduled", "deferred", "expiring", "failed", "canceled")
redis.call("SCARD", prefix .. "queues")
if status == "started" and mode ~= "quarantine" then
  redis.call("HSET", job_key, "request", mode)
  redis.pcall("PUBLISH", prefix .. "commands:" .. string.match(h[3] or "", "^[^:]*"), mode .. " " .. job_id)
  return answer({ "ok", status })
end
local WAITS_IN = { created = "", queued = "queue", scheduled = "scheduled", deferred = "deferred" }
if mode == "stop" or not WAITS_IN[status] then
  return { "wrong_status", status }
end
local ended_as = mode == "cancel" and "canceled" or "failed"
redis.call("HSET", job_key, "status", ended_as, "ended_at", whole(now))
if mode == "quarantine" then
  local text = error_message == "" and error_type or error_type .. ": " .. error_message
  redis.call("HSET", job_key, "exc_info", text, "error_type", error_type, "error_message", error_message)
end
if status == "created" then
  redis.call("PERSIST", job_key)
  redis.call("SADD", prefix .. "queues", queue)
else
  redis.call("ZREM", prefix .. WAITS_IN[status] .. ":" .. queue, job_id)
  redis.call("ZREM", prefix .. "expiring:" .. queue, job_id)
end
file_ended(job_id, queue, ended_as, kept(ended_as, h[4]))
list_ended()
return answer({ "ok", ended_as })
