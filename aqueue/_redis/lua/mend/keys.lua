-- flags: allow-oom
-- mend keys: types of all keys but jobs, and what belongs to a job, a call or the clock
--
-- A key of another type was not written by us: it is moved aside, not deleted. Results and histories follow
-- their job's record.
--
-- Replies  {kind, subject, "ok" or "left"...}  one for each damage
local prefix        = ARGV[1] -- str   of all keys
local repair        = ARGV[2] -- str   "1": mend what is found
local result_ttl_ms = tonumber(ARGV[3]) -- int   default life of finished jobs
local day_ms        = tonumber(ARGV[4]) -- int   a clock further ahead than this is wrong
-- ARGV[5...] names of keys, without the prefix, at most 50

-- include: clock
-- include: given
-- include: aside
-- include: record
-- include: filed

given(result_ttl_ms, day_ms)
local function limit(kind, name, ttl_ms)
  if redis.call("PTTL", prefix .. name) == -1 and found(kind, name) then
    redis.call("PEXPIRE", prefix .. name, ttl_ms)
  end
end

local SINGLE = { queues = true, workers = true, heartbeat = true, hold = true, schema = true }

-- is_ours(kind, rest): whether a job, queue, worker or call can have this name
local function is_ours(kind, rest)
  if kind == "result" or kind == "history" then
    return is_id(rest)
  end
  return SINGLE[kind] or is_name(rest)
end

local CHECKS = {}

function CHECKS.result(name, h)
  if not h or h.gone or (FILED[h.status] and h.status ~= "finished") then
    if found("result_orphan", name) then
      redis.call("UNLINK", prefix .. name)
    end
  else
    local ttl_ms = h.result_ttl and is_number(h.result_ttl) and tonumber(h.result_ttl) or result_ttl_ms
    if ttl_ms >= 0 then
      limit("result_ttl", name, whole(ttl_ms))
    end
  end
end

function CHECKS.history(name, h)
  if not h or h.gone then
    if found("history_orphan", name) then
      redis.call("UNLINK", prefix .. name)
    end
  elseif redis.call("LLEN", prefix .. name) > 9 and found("history_long", name) then
    redis.call("LTRIM", prefix .. name, 0, 8)
  end
end

function CHECKS.reply(name)
  limit("reply_ttl", name, "60000")
end

function CHECKS.heartbeat(name)
  local text = redis.call("GET", prefix .. name)
  if (not is_number(text) or tonumber(text) > now + day_ms) and found("clock", name) then
    redis.call("UNLINK", prefix .. name)
  end
end
CHECKS.hold = CHECKS.heartbeat

local function examine(name)
  local kind, colon, rest = string.match(name, "^([^:]*)(:?)(.*)$")
  local held, check, is_single = type_of(name), CHECKS[kind], SINGLE[kind] or false
  if held == "none" then
    return
  end
  if not TYPES[kind] or (colon == "") ~= is_single then
    found("unknown_key", name)
    left()
  elseif held ~= TYPES[kind] then
    aside("foreign_type", name)
  elseif not is_ours(kind, rest) then
    aside("foreign_name", name)
  elseif check then
    check(name, record(rest, { "status", "queue", "function", "gone", "result_ttl" }))
  end
end

for i = 5, #ARGV do
  examine(ARGV[i])
end
return words
