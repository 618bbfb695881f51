-- flags: allow-oom
-- mend queues: the list of their names, their counters and their wake lists
--
-- Replies  {kind, subject, "ok" or "left"...}  one for each damage
local queues_key = KEYS[1] -- set   queue names
local prefix     = ARGV[1] -- str   of all keys
local repair     = ARGV[2] -- str   "1": mend what is found
-- ARGV[3...] queue names, at most 20

-- include: facts
-- include: found
-- include: record

local REGISTRIES = { "queue", "scheduled", "deferred", "started", "finished", "failed", "canceled", "expired" }
local COUNTERS = { "seq", "front", "finished", "failed", "stopped", "canceled", "expired", "lost" }

local function listing(queue)
  local is_listed = fits("queues") and redis.call("SISMEMBER", queues_key, queue) == 1
  local is_used = false
  for _, registry in ipairs(REGISTRIES) do
    is_used = is_used or type_of(registry .. ":" .. queue) == TYPES[registry]
  end
  if not is_name(queue) then
    if is_listed and found("queue_name", queue) then
      redis.call("SREM", queues_key, queue)
    end
  elseif is_used and not is_listed and found("queue_unlisted", queue, queue) then
    redis.call("SADD", queues_key, queue)
  end
end

local function counters(queue)
  local meta_key = prefix .. "meta:" .. queue
  local values = facts(meta_key, unpack(COUNTERS))
  for n, counter in ipairs(COUNTERS) do
    local text = values[n]
    if text and not is_number(text, 14) and found("counter", queue .. " " .. counter) then
      redis.call("HDEL", meta_key, counter)
    end
  end
end

local function tokens(queue)
  local wake_key = prefix .. "wake:" .. queue
  local count = type_of("wake:" .. queue) == "list" and redis.call("LLEN", wake_key) or 0
  local is_paused = facts(prefix .. "meta:" .. queue, "paused")[1] == "1"
  if count > 0 and is_paused and found("wake_paused", queue) then
    redis.call("DEL", wake_key)
  elseif count > 1 and not is_paused and found("wake_long", queue) then
    redis.call("LTRIM", wake_key, 0, 0)
  end
end

for i = 3, #ARGV do
  listing(ARGV[i])
  if is_name(ARGV[i]) then
    counters(ARGV[i])
    tokens(ARGV[i])
  end
end
return words
