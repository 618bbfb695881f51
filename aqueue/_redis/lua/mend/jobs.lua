-- flags: allow-oom
-- mend jobs: a job lies in the registry that its status names, at a score and with a TTL that go with it
--
-- A job that can still be run is put back where it was. Records that cannot be understood are passed over.
--
-- Replies  {kind, subject, "ok" or "left"...}  one for each damage
local prefix         = ARGV[1] -- str   of all keys
local repair         = ARGV[2] -- str   "1": mend what is found
local failure_ttl_ms = tonumber(ARGV[3]) -- int   default life of failed jobs
local result_ttl_ms  = tonumber(ARGV[4]) -- int   of finished ones
local day_ms         = tonumber(ARGV[5]) -- int   life of saved, canceled and expired ones; slack of the keys' own TTL
local lease_ms       = tonumber(ARGV[6]) -- int   where the holder does not tell
local numbers        = ARGV[7] -- str   fields that are whole numbers
-- ARGV[8...] ids, at most 50

-- include: clock
-- include: given
-- include: facts
-- include: found
-- include: record
-- include: filed
-- include: scores
-- include: since
-- include: wake

given(failure_ttl_ms, result_ttl_ms, day_ms, lease_ms)
local NAMES, NUMBERS = { "status", "queue", "function", "gone", "token" }, {}
for name in string.gmatch(numbers, "%S+") do
  NUMBERS[#NUMBERS + 1], NAMES[#NAMES + 1] = name, name
end

-- score_in(registry, h, id): where it lies there, if it does
local readable = {}
local function score_in(registry, h, id)
  local name = registry .. ":" .. h.queue
  if readable[name] == nil then
    readable[name] = fits(name)
  end
  return readable[name] and tonumber(redis.call("ZSCORE", prefix .. name, id) or "") or nil
end

-- belongs(h): the score that it would have; of a queued one, its place is given when it is filed
local function belongs(h)
  if ENDED[h.status] then
    return kept_ms(h) < 0 and math.huge or since(h.ended_at) + kept_ms(h)
  elseif h.status == "started" then
    return now + lease_of(h)
  end
  return h.status == "deferred" and since(h.created_at) or now
end

-- file(id, h, score): put it where it belongs
local function file(id, h, score)
  local label = ENDED[h.status] and "ended" or h.status
  if found((score and "score_" or "unfiled_") .. label, id, h.queue) then
    local place = h.status == "queued" and next_place(h.queue, h.priority) or whole(belongs(h))
    redis.call("ZADD", prefix .. FILED[h.status] .. ":" .. h.queue, place, id)
    redis.call("SADD", prefix .. "queues", h.queue)
    wake(h.queue)
  end
end

-- count(h, score): no later job may get its place
local highest = {}
local function count(h, score)
  local at = math.abs(offset(h, score))
  local counter = offset(h, score) < 0 and "front" or "seq"
  local subject = h.queue .. " " .. counter
  if at <= (highest[subject] or -1) then
    return
  end
  local given = facts(prefix .. "meta:" .. h.queue, counter)[1]
  highest[subject] = given and is_number(given, 14) and tonumber(given) or 0
  if at > highest[subject] and found("counter_behind", subject, h.queue) then
    redis.call("HSET", prefix .. "meta:" .. h.queue, counter, whole(at))
  end
end

-- date(id, h): a job that was never started expires when its ttl has passed
local function date(id, h)
  local score = score_in("expiring", h, id)
  local is_new = not (h.attempts or h.lost or h.releases or h.misses)
  local is_wrong = score and h.ttl and not (score > 0 and score <= now + h.ttl + day_ms)
  if is_wrong and found("score_deadline", id, h.queue) or not score and h.ttl and is_new and found("no_deadline", id, h.queue) then
    redis.call("ZADD", prefix .. "expiring:" .. h.queue, whole(since(h.enqueued_at) + h.ttl), id)
  end
end

-- limit(kind, id, name, least_ms): a key that ends no sooner than in so long; nil: one without end
local function limit(kind, id, name, least_ms)
  local left_ms = redis.call("PTTL", prefix .. name .. ":" .. id)
  if not least_ms and left_ms >= 0 and found(kind, id) then
    redis.call("PERSIST", prefix .. name .. ":" .. id)
  elseif least_ms and left_ms ~= -2 and left_ms < least_ms - 1000 and found(kind, id) then
    redis.call("PEXPIRE", prefix .. name .. ":" .. id, whole(least_ms + day_ms))
  end
end

local function examine(id, h)
  local score = score_in(FILED[h.status], h, id)
  local is_filed = score and is_right(h, score)
  if not is_filed then
    file(id, h, score)
  elseif h.status == "queued" then
    count(h, score)
  end
  if h.status == "queued" then
    date(id, h)
  end
  local ends = ENDED[h.status] and kept_ms(h) >= 0 and math.max(1000, (is_filed and score or belongs(h)) - now) or nil
  limit(ENDED[h.status] and "ttl_ended" or "ttl_live", id, "job", ends)
  limit("ttl_history", id, "history", ends)
end

for i = 8, #ARGV do
  local id = ARGV[i]
  local h = record(id, NAMES)
  for _, name in ipairs(h and NUMBERS or {}) do
    h[name] = h[name] and is_field(name, h[name]) and h[name] or nil
  end
  local is_whole = h and not h.gone and is_name(h.queue)
  if is_whole and h.status == "created" then
    limit("ttl_saved", id, "job", 1000)
  elseif is_whole and FILED[h.status] then
    examine(id, h)
  end
end
return words
