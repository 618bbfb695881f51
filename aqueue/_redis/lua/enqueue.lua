-- enqueue: no record, created or ended -> queued or scheduled; mode save: -> created
--
-- Stores jobs and files them, each on its own: one whose id is taken does not touch its
-- neighbours. The same nonce gets the same answer again, so a repeated call never doubles a job.
-- An ended job's id starts a new incarnation: nothing of the old one is inherited but the counters
-- that fence off its zombies. No flags here: out of memory the first write is refused, and so the whole
-- call, while the reads before it still answer a replay.
--
-- Replies  {now, n, word...}  a word for each job, by its number in the call, that is not stored as it was meant to
--          be: what has become of it since, on a replay;  "duplicate <status>"  the id belongs to a live job
local queue_key     = KEYS[1] -- zset  waiting ids -> place
local scheduled_key = KEYS[2] -- zset  ids -> due time, unix ms
local expiring_key  = KEYS[3] -- zset  waiting ids with a ttl -> deadline, unix ms
local meta_key      = KEYS[4] -- hash  the queue's counters
local queues_key    = KEYS[5] -- set   queue names
local wake_key      = KEYS[6] -- list  wake tokens
local prefix        = ARGV[1] -- str   of all keys; a batch's job keys are made from it
local queue         = ARGV[2] -- str   the queue's name
local day_ms        = tonumber(ARGV[3]) -- int   life of a saved job that nobody enqueues
-- ARGV[4...] per job: id, how, the number of fields and values that follow, and these. how: "" for the usual, or
-- "nonce mode priority delay_ms ttl_ms": nonce "" where the id was made for this call, mode "", "front" or "save"

-- include: clock
-- include: given
-- include: counted
-- include: fence
-- include: registry

local STEP = 70368744177664 -- 2^46, as in lib/place.lua
local LIVE = { queued = true, scheduled = true, deferred = true, started = true }
local USUAL = { nonce = "", mode = "", priority = 0, delay = 0 }
local NEW = {}

given(day_ms)
local at, lasts, job_keys, hows = {}, {}, {}, {}
local i = 4
while i <= #ARGV do
  local n, how = #at + 1, USUAL
  if ARGV[i + 1] ~= "" then
    local nonce, mode, priority, delay, ttl = string.match(ARGV[i + 1], "^(%S*) (%S*) (%S*) (%S*) (%S*)$")
    how = { nonce = nonce, mode = mode, priority = tonumber(priority), delay = tonumber(delay), ttl = tonumber(ttl) }
    given(how.priority, how.delay, ttl == "" and 0 or how.ttl)
  end
  local count = tonumber(ARGV[i + 2]) or -1
  if count < 0 or count > 1000 or count % 2 ~= 0 then
    error("aqueue: no number of fields")
  end
  at[n], hows[n], job_keys[n] = i, how, prefix .. "job:" .. ARGV[i]
  lasts[n] = i + 2 + count
  i = lasts[n] + 1
end
if i ~= #ARGV + 1 or #at > 100 then
  error("aqueue: a job is incomplete, or there are too many")
end
local are_new = redis.call("EXISTS", unpack(job_keys)) == 0
local is_paused = redis.call("HGET", meta_key, "paused") == "1"
local is_known = redis.call("SISMEMBER", queues_key, queue) == 1
local is_rung = redis.call("LLEN", wake_key) > 0

local reply, words, accepted, old, seen = { now }, {}, {}, {}, {}
local counts = { back = 0, front = 0, due = 0, ttl = 0 }
for n, job_key in ipairs(job_keys) do
  local id, how = ARGV[at[n]], hows[n]
  local meant = how.mode == "save" and "created" or how.delay > 0 and "scheduled" or "queued"
  local h = are_new and NEW or redis.call("HMGET", job_key, "status", "nonce", "queue", "incarnation", "token", "settled", "fence")
  local word, first = meant, seen[id]
  if h[1] and (h[2] or "") == how.nonce then
    word = h[1]
    seen[id] = n -- what was a duplicate of it in this call stays one, also at its end
  elseif first then
    word = hows[first].nonce == how.nonce and words[first] or "duplicate " .. words[first]
  elseif LIVE[h[1]] then
    word = "duplicate " .. h[1]
  else
    if REGISTRY[h[1]] then
      h[3] = h[3] or queue -- damaged: here rather than nowhere
      redis.call("ZSCORE", prefix .. REGISTRY[h[1]] .. ":" .. h[3], id)
    end
    accepted[#accepted + 1] = n
    old[n] = h
    seen[id] = n
    local kind = word == "scheduled" and "due" or how.mode == "front" and "front" or "back"
    counts[kind] = counts[kind] + (word == "created" and 0 or 1)
    counts.ttl = counts.ttl + (word == "queued" and how.ttl and 1 or 0)
  end
  words[n] = word
  if word ~= meant then
    reply[#reply + 1] = n
    reply[#reply + 1] = word
  end
end
if #accepted == 0 then
  return reply
end

-- Each key is read before the first write, so that a foreign one of another type stops the script in time.
for key, count in pairs({ [queue_key] = counts.back + counts.front, [scheduled_key] = counts.due, [expiring_key] = counts.ttl }) do
  if count > 0 then
    redis.call("ZCARD", key)
  end
end

-- Always, and first: out of memory it is refused, and so the whole call, before an old record is removed.
local seq = counted(meta_key, "seq", counts.back) - counts.back
local front = counts.front > 0 and counted(meta_key, "front", counts.front) - counts.front
local places, due, deadlines, wanted = {}, {}, {}, false
for _, n in ipairs(accepted) do
  local id, job_key, how, h, word = ARGV[at[n]], job_keys[n], hows[n], old[n], words[n]
  local first, last = at[n] + 3, lasts[n]
  if h[1] then
    redis.call("UNLINK", job_key, prefix .. "result:" .. id, prefix .. "history:" .. id)
    if REGISTRY[h[1]] then
      redis.call("ZREM", prefix .. REGISTRY[h[1]] .. ":" .. h[3], id)
    end
    local incarnation = (integer(h[4]) or 0) + (h[1] == "created" and 0 or 1)
    redis.call("HSET", job_key, "incarnation", whole(incarnation), "fence", whole(fence_of(h[5], h[6], h[7])))
  end
  if word == "queued" then
    local place
    if how.mode == "front" then
      front = front + 1
      place = whole(-front - how.priority * STEP)
    else
      seq = seq + 1
      place = whole(seq - how.priority * STEP)
    end
    redis.call("HSET", job_key, "status", word, "queue", queue, "enqueued_at", later(0), unpack(ARGV, first, last))
    places[#places + 1] = place
    places[#places + 1] = id
    if how.ttl then
      deadlines[#deadlines + 1] = later(how.ttl)
      deadlines[#deadlines + 1] = id
    end
  else
    redis.call("HSET", job_key, "status", word, "queue", queue, "created_at", later(0), unpack(ARGV, first, last))
    if word == "created" then
      redis.call("PEXPIRE", job_key, whole(day_ms))
    else
      due[#due + 1] = later(how.delay)
      due[#due + 1] = id
    end
  end
end
if #places > 0 then
  redis.call("ZADD", queue_key, unpack(places))
  wanted = true
end
if #deadlines > 0 then
  redis.call("ZADD", expiring_key, unpack(deadlines))
end
if #due > 0 then
  redis.call("ZADD", scheduled_key, unpack(due))
  -- Workers sleep until the earliest due time they know of: a new earliest one must wake them.
  local first = redis.call("ZRANGE", scheduled_key, 0, 0)[1]
  wanted = wanted or (seen[first] ~= nil)
end
if not is_known and #places + #due > 0 then
  redis.call("SADD", queues_key, queue)
end
if wanted and not is_paused and not is_rung then
  redis.call("LPUSH", wake_key, "1")
end
return reply
