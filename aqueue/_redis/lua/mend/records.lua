-- flags: allow-oom
-- mend records: each can be understood; a job whose record cannot is failed, with the reason
--
-- What stands in place of a record and was not written by us is moved aside. A number that is none is
-- removed; where enqueue had fixed it and the job still waits, the job is failed, too.
--
-- Replies  {kind, subject, "ok" or "left"...}  one for each damage
local prefix         = ARGV[1] -- str   of all keys
local repair         = ARGV[2] -- str   "1": mend what is found
local failure_ttl_ms = tonumber(ARGV[3]) -- int   default life of failed jobs
local day_ms         = tonumber(ARGV[4]) -- int   slack of the keys' own TTL
local fixed          = ARGV[5] -- str   fields that are whole numbers, fixed at enqueue
local changing       = ARGV[6] -- str   such that change, and have a default
-- ARGV[7...] ids, at most 50

-- include: clock
-- include: given
-- include: aside
-- include: record
-- include: filed
-- include: fence
-- include: kept
-- include: ended

given(failure_ttl_ms, day_ms)
local NAMES, NUMBERS, IS_FIXED = { "status", "queue", "function", "gone", "token", "settled" }, {}, {}
for name in string.gmatch(fixed .. " " .. changing, "%S+") do
  NUMBERS[#NUMBERS + 1], NAMES[#NAMES + 1] = name, name
end
for name in string.gmatch(fixed, "%S+") do
  IS_FIXED[name] = true
end

-- numbers(id, h): take out what is no number; why the job cannot be run as it was meant to be, if so
local function numbers(id, h)
  local reason
  for _, name in ipairs(NUMBERS) do
    local text = h[name]
    if text and not is_field(name, text) then
      if found("number", id .. " " .. name, h.queue) then
        redis.call("HDEL", prefix .. "job:" .. id, name)
      end
      h[name] = nil
      if IS_FIXED[name] and not ENDED[h.status] and h.status ~= "started" then
        reason = "its field " .. name .. " is no number that we wrote"
      end
    end
  end
  return reason
end

local function fail(id, h, reason)
  local job_key = prefix .. "job:" .. id
  for _, registry in pairs(FILED) do
    redis.call("ZREM", prefix .. registry .. ":" .. h.queue, id)
  end
  redis.call("ZREM", prefix .. "expiring:" .. h.queue, id)
  redis.call("HSET", job_key, "status", "failed", "queue", h.queue, "ended_at", whole(now))
  redis.call("HSET", job_key, "fence", whole(fence_of(h.token, h.settled, h.fence)))
  redis.call("HSET", job_key, "error_type", "PayloadError", "error_message", reason, "exc_info", "PayloadError: " .. reason)
  redis.call("HDEL", job_key, "token", "place", "request", "settled")
  redis.call("PERSIST", job_key)
  redis.call("UNLINK", prefix .. "result:" .. id)
  redis.call("SADD", prefix .. "queues", h.queue)
  file_ended(id, h.queue, "failed", kept("failed", h.failure_ttl))
end

local function understand(id, h)
  local reason, wanted = numbers(id, h), repair == "1"
  if not is_name(h.queue) then
    h.queue = "default"
    wanted = found("no_queue", id, h.queue)
    if wanted and ENDED[h.status] then
      redis.call("HSET", prefix .. "job:" .. id, "queue", h.queue)
    else
      reason = "the name of its queue is lost"
    end
  end
  if not FILED[h.status] then
    wanted = found(h.status and "status_unknown" or "status_missing", id, h.queue)
    reason = h.status and "its status is none that we know" or "its status is lost"
  end
  if reason and wanted and is_ready(h.queue) then
    fail(id, h, reason)
  end
end

for i = 7, #ARGV do
  local id = ARGV[i]
  local held, h = type_of("job:" .. id), record(id, NAMES)
  if h and h.gone then
    if redis.call("PTTL", prefix .. "job:" .. id) == -1 and found("ttl_gone", id) then
      redis.call("PEXPIRE", prefix .. "job:" .. id, 60000)
    end
  elseif h then
    understand(id, h)
  elseif held ~= "none" then
    aside(held ~= "hash" and "foreign_type" or is_id(id) and "foreign_record" or "foreign_name", "job:" .. id)
  end
end
list_ended()
return words
