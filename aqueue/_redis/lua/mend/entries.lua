-- flags: allow-oom
-- mend entries: what a registry lists and no record of a job confirms is listed no more
--
-- An ended job whose removal time has passed is left to prune, also when its record went first.
--
-- Replies  {kind, subject, "ok" or "left"...}  one for each damage
local prefix   = ARGV[1] -- str   of all keys
local repair   = ARGV[2] -- str   "1": mend what is found
local registry = ARGV[3] -- str   queue, scheduled, ... or expiring
local queue    = ARGV[4] -- str   the queue's name
-- ARGV[5...] ids, at most 50

-- include: clock
-- include: found
-- include: record
-- include: filed

local registry_key = prefix .. registry .. ":" .. queue

-- is_confirmed(h): whether a job with this record lies here; its status may still have to be mended
local function is_confirmed(h)
  if h.gone or (is_name(h.queue) and h.queue ~= queue) then
    return false
  end
  if registry == "expiring" then
    return not FILED[h.status] or h.status == "queued" and h.ttl
  end
  return FILED[h.status] == registry or not FILED[h.status]
end

for i = 5, #ARGV do
  local id = ARGV[i]
  local score = redis.call("ZSCORE", registry_key, id)
  if score then
    local h = record(id, { "status", "queue", "function", "gone", "ttl" })
    local kind = registry == "expiring" and "stray_deadline" or h and "misfiled" or "dangling"
    local is_pruned = not h and ENDED[registry] and tonumber(score) <= now
    if not (h and is_confirmed(h)) then
      if not is_pruned and found(kind, registry .. ":" .. queue .. " " .. id) then
        redis.call("ZREM", registry_key, id)
      end
    elseif not is_name(h.queue) and found("no_queue", id) then
      redis.call("HSET", prefix .. "job:" .. id, "queue", queue)
    end
  end
end
return words
