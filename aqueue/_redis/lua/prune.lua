-- flags: allow-oom
-- prune: finished, failed, stopped, canceled or expired, past their time -> no record
-- expire: queued, past its ttl -> expired
--
-- Any worker may call it at any time, without a lock. Ids whose record is gone leave their registry.
--
-- Replies  {pruned, expired, full}  full: "1" when something is left, so call again
local workers_key    = KEYS[1] -- zset  worker uuids -> end of their records, unix ms
local prefix         = ARGV[1] -- str   of all keys
local limit          = tonumber(ARGV[2]) -- int   jobs per call, at most 500
local failure_ttl_ms = tonumber(ARGV[3]) -- int   default life of failed jobs
local day_ms         = tonumber(ARGV[4]) -- int   life of expired jobs
-- ARGV[5...] queue names

-- include: clock
-- include: given
-- include: typed
-- include: kept
-- include: ended
-- include: expire
-- include: facts
-- include: forget
-- include: registry

given(limit, failure_ttl_ms, day_ms)
if limit < 0 or limit > 500 then
  error("aqueue: too many jobs for one call")
end
local REGISTRIES = { "finished", "failed", "canceled", "expired" }
redis.call("ZCARD", workers_key)
for q = 5, #ARGV do
  typed(ARGV[q], "queue", "expiring", unpack(REGISTRIES))
end

local pruned, expired = 0, 0

local function overdue(key)
  return redis.call("ZRANGEBYSCORE", key, "-inf", whole(now), "LIMIT", 0, limit - pruned - expired)
end

local function prune(registry, queue)
  local registry_key = prefix .. registry .. ":" .. queue
  for _, id in ipairs(overdue(registry_key)) do
    local h = facts(prefix .. "job:" .. id, "status", "queue", "gone")
    redis.call("ZREM", registry_key, id)
    if REGISTRY[h[1]] == registry and h[2] == queue and not h[3] then
      forget(id)
      redis.pcall("PUBLISH", prefix .. "done:" .. id, "deleted")
    end
    pruned = pruned + 1
  end
end

for q = 5, #ARGV do
  local queue = ARGV[q]
  for _, id in ipairs(overdue(prefix .. "expiring:" .. queue)) do
    local h = facts(prefix .. "job:" .. id, "status", "failure_ttl")
    redis.call("ZREM", prefix .. "expiring:" .. queue, id)
    if h[1] == "queued" then
      redis.call("ZREM", prefix .. "queue:" .. queue, id)
      expire(id, queue, h[2])
    end
    expired = expired + 1
  end
  for _, registry in ipairs(REGISTRIES) do
    prune(registry, queue)
  end
end
list_ended()
redis.call("ZREMRANGEBYSCORE", workers_key, "-inf", whole(now))
return { pruned, expired, pruned + expired >= limit and "1" or "" }
