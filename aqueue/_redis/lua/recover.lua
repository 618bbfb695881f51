-- flags: allow-oom
-- recover: started, lease expired -> queued, scheduled, failed (abandoned), canceled or stopped
--
-- Any worker may call it at any time, without a lock. The silence guard comes first: if nobody has beaten
-- for half a lease, Redis was away, and recovery waits one lease for the workers to come back. After its first loss a job
-- comes back at once with its old place. Then it is scheduled over the next 2^n s, spread by its place in the batch, so
-- that a job that kills its worker does not take the same neighbours along each time.
--
-- Replies  {"hold"}  nothing was recovered;  {"ok" or "full", id, status...}  full: call again
local heartbeat_key  = KEYS[1] -- string last beat of anyone, unix ms
local hold_key       = KEYS[2] -- string no recovery before, unix ms
local prefix         = ARGV[1] -- str    of all keys
local lease_ms       = tonumber(ARGV[2]) -- int    the caller's lease
local limit          = tonumber(ARGV[3]) -- int    jobs per call, at most 500
local max_lost       = tonumber(ARGV[4]) -- int    default number of losses allowed
local failure_ttl_ms = tonumber(ARGV[5]) -- int    default life of failed jobs
local day_ms         = tonumber(ARGV[6]) -- int    life of canceled jobs
-- ARGV[7...] queue names

-- include: clock
-- include: given
-- include: typed
-- include: place
-- include: fence
-- include: wake
-- include: kept
-- include: ended
-- include: silence
-- include: facts

given(lease_ms, limit, max_lost, failure_ttl_ms, day_ms)
if limit < 0 or limit > 500 then
  error("aqueue: too many jobs for one call")
end
local until_ms, silent = held(lease_ms), silence(lease_ms)
for q = 7, #ARGV do
  typed(ARGV[q], "queue", "started", "scheduled", "failed", "canceled")
end
if silent then
  redis.call("SET", heartbeat_key, whole(now))
  redis.call("SET", hold_key, whole(now + lease_ms))
  return { "hold" }
end
if until_ms then
  redis.call("SET", hold_key, whole(until_ms))
  return { "hold" }
end

-- A deadline further ahead than two of its holder's leases was set before the clock was put back.
local function pull_back(queue)
  local started_key = prefix .. "started:" .. queue
  local ahead = redis.call("ZREVRANGEBYSCORE", started_key, "+inf", "(" .. whole(now + lease_ms * 2), "WITHSCORES", "LIMIT", 0, 100)
  for i = 1, #ahead, 2 do
    local token = facts(prefix .. "job:" .. ahead[i], "token")[1] or ""
    local holder = prefix .. "worker:" .. (string.match(token, "^[^:]*") or "")
    local length = integer(facts(holder, "lease")[1]) or lease_ms
    if tonumber(ahead[i + 1]) > now + length * 2 then
      redis.call("ZADD", started_key, whole(now + length), ahead[i])
    end
  end
end

local reply = { "ok" }

-- lose(queue, id, h, share): what becomes of one job that lost its worker
local function lose(queue, id, h, share)
  local job_key = prefix .. "job:" .. id
  local lost = (integer(h[9]) or 0) + 1
  local worker = h[7] or string.match(h[8] or "", "^[^:]*") or ""
  local status
  redis.call("HDEL", job_key, "token", "request")
  redis.call("HSET", job_key, "lost", whole(lost), "fence", whole(fence_of(h[8])))
  if h[4] then
    status = h[4] == "stop" and "stopped" or "canceled"
  elseif lost > (integer(h[2]) or max_lost) then
    status = "failed"
    local message = "its worker disappeared " .. whole(lost) .. " times while it ran, last " .. worker
    redis.call("HSET", job_key, "exc_info", "AbandonedJobError: " .. message, "error_type", "AbandonedJobError", "error_message", message)
  elseif lost == 1 then
    redis.call("HSET", job_key, "status", "queued")
    redis.call("ZADD", prefix .. "queue:" .. queue, integer(h[3]) and h[3] or next_place(queue, h[6]), id)
    status = "queued"
  else
    redis.call("HSET", job_key, "status", "scheduled")
    redis.call("ZADD", prefix .. "scheduled:" .. queue, whole(now + math.ceil(2 ^ math.min(lost, 10) * 1000 * share)), id)
    status = "scheduled"
  end
  if status == "queued" or status == "scheduled" then
    redis.call("HDEL", job_key, "started_at", "worker_name")
  else
    redis.call("HSET", job_key, "status", status, "ended_at", whole(now))
    file_ended(id, queue, status, kept(status, h[5]))
  end
  counted(prefix .. "meta:" .. queue, "lost", 1)
  reply[#reply + 1] = id
  reply[#reply + 1] = status
end

for q = 7, #ARGV do
  local queue = ARGV[q]
  local started_key = prefix .. "started:" .. queue
  pull_back(queue)
  local expired = redis.call("ZRANGEBYSCORE", started_key, "-inf", "(" .. whole(now), "LIMIT", 0, limit)
  for place, id in ipairs(expired) do
    local h = facts(prefix .. "job:" .. id, "status", "max_lost", "place", "request", "failure_ttl", "priority", "worker_name", "token", "lost")
    redis.call("ZREM", started_key, id)
    if h[1] == "started" then
      lose(queue, id, h, place / #expired)
    end
  end
  limit = limit - #expired
  if #expired > 0 then
    wake(queue)
  end
  if limit <= 0 then
    reply[1] = "full"
    break
  end
end
list_ended()
return reply
