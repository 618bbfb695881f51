-- flags: allow-oom
-- delete: any status but started -> no record
--
-- Removes jobs with their results and histories. A running one is refused: its worker holds it.
--
-- Replies  a word per job:  "ok";  "missing";  or the status that does not allow it
local reply_key = KEYS[1] -- string the remembered answer
local prefix    = ARGV[1] -- str    of all keys
local from      = ARGV[2] -- str    delete only what lies in this registry now; "" for any
-- ARGV[3...] ids, at most 500

-- include: once
-- include: typed
-- include: forget

local known = answered()
if known then
  return known
end
local REGISTRY = {
  created = "", queued = "queue", scheduled = "scheduled", deferred = "deferred", finished = "finished",
  failed = "failed", stopped = "failed", canceled = "canceled", expired = "expired",
}
local jobs = {}
for i = 3, #ARGV do
  local h = redis.call("HMGET", prefix .. "job:" .. ARGV[i], "status", "queue", "gone")
  jobs[#jobs + 1] = h
  if h[1] then
    typed(h[2], "queue", "scheduled", "deferred", "expiring", "finished", "failed", "canceled", "expired")
  end
end

local words, done = {}, {}
for n, h in ipairs(jobs) do
  local id, registry = ARGV[n + 2], REGISTRY[h[1]]
  if not h[1] or h[3] or done[id] then
    words[n] = "missing"
  elseif not registry or (from ~= "" and registry ~= from) then
    words[n] = h[1]
  else
    if registry ~= "" then
      redis.call("ZREM", prefix .. registry .. ":" .. h[2], id)
      redis.call("ZREM", prefix .. "expiring:" .. h[2], id)
    end
    forget(id)
    redis.pcall("PUBLISH", prefix .. "done:" .. id, "deleted")
    words[n] = "ok"
    done[id] = true
  end
end
return answer(words)
