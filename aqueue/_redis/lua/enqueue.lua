-- enqueue: no record, created or ended -> queued or scheduled; mode save: -> created
--
-- Stores jobs and files them, each on its own: one whose id is taken does not touch its
-- neighbours. The same nonce gets the same answer again, so a repeated call never doubles a job.
-- An ended job's id starts a new incarnation: nothing of the old one is inherited but the counters
-- that fence off its zombies. No flags here: out of memory the first write is refused, and so the whole
-- call, while the reads before it still answer a replay.
--
-- Replies  {now, word...}, a word per job:  "queued", "scheduled", "created"  it is stored so (or what
--          has become of it since, on a replay);  "duplicate <status>"  the id belongs to a live job
local queue_key     = KEYS[1] -- zset  waiting ids -> place
local scheduled_key = KEYS[2] -- zset  ids -> due time, unix ms
local expiring_key  = KEYS[3] -- zset  waiting ids with a ttl -> deadline, unix ms
local meta_key      = KEYS[4] -- hash  the queue's counters
local queues_key    = KEYS[5] -- set   queue names
local wake_key      = KEYS[6] -- list  wake tokens
local prefix        = ARGV[1] -- str   of all keys; a batch's job keys are made from it
local queue         = ARGV[2] -- str   the queue's name
local day_ms        = ARGV[3] -- int   life of a saved job that nobody enqueues
-- ARGV[4...] per job: id, nonce ("": the id was made for this call), mode ("", "front" or "save"), priority, delay_ms, ttl_ms ("" for none),
-- the number of fields and values that follow, and these

-- include: clock
-- include: registry

local STEP = 70368744177664 -- 2^46, as in lib/place.lua
local LIVE = { queued = true, scheduled = true, deferred = true, started = true }

local words, accepted, seen = { now }, {}, {}
local counts = { back = 0, front = 0, due = 0, ttl = 0 }
local is_paused = redis.call("HGET", meta_key, "paused") == "1"
local is_known = redis.call("SISMEMBER", queues_key, queue) == 1
local is_rung = redis.call("LLEN", wake_key) > 0
local i = 4
while i <= #ARGV do
  local id, nonce, mode = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local h = redis.call("HMGET", prefix .. "job:" .. id, "status", "nonce", "queue", "incarnation", "fence")
  local word
  if h[1] and (h[2] or "") == nonce then
    word = h[1]
    seen[id] = { nonce = nonce, word = word } -- what was a duplicate of it in this call stays one, also at its end
  elseif seen[id] then
    word = seen[id].nonce == nonce and seen[id].word or "duplicate " .. seen[id].word
  elseif LIVE[h[1]] then
    word = "duplicate " .. h[1]
  else
    word = mode == "save" and "created" or tonumber(ARGV[i + 4]) > 0 and "scheduled" or "queued"
    if REGISTRY[h[1]] then
      redis.call("ZSCORE", prefix .. REGISTRY[h[1]] .. ":" .. h[3], id)
    end
    accepted[#accepted + 1] = { at = i, word = word, h = h }
    seen[id] = { nonce = nonce, word = word }
    local kind = word == "scheduled" and "due" or mode == "front" and "front" or "back"
    counts[kind] = counts[kind] + (word == "created" and 0 or 1)
    counts.ttl = counts.ttl + (word == "queued" and ARGV[i + 5] ~= "" and 1 or 0)
  end
  words[#words + 1] = word
  i = i + 7 + tonumber(ARGV[i + 6])
end
if #accepted == 0 then
  return words
end

-- Each key is read before the first write, so that a foreign one of another type stops the script in time.
for key, count in pairs({ [queue_key] = counts.back + counts.front, [scheduled_key] = counts.due, [expiring_key] = counts.ttl }) do
  if count > 0 then
    redis.call("ZCARD", key)
  end
end

-- Always, and first: out of memory it is refused, and so the whole call, before an old record is removed.
local seq = redis.call("HINCRBY", meta_key, "seq", counts.back) - counts.back
local front = counts.front > 0 and redis.call("HINCRBY", meta_key, "front", counts.front) - counts.front
local places, due, deadlines, wanted = {}, {}, {}, false
for _, job in ipairs(accepted) do
  local at, h = job.at, job.h
  local id = ARGV[at]
  local job_key = prefix .. "job:" .. id
  local fields = { "status", job.word, "queue", queue }
  if h[1] then
    redis.call("UNLINK", job_key, prefix .. "result:" .. id, prefix .. "history:" .. id)
    if REGISTRY[h[1]] then
      redis.call("ZREM", prefix .. REGISTRY[h[1]] .. ":" .. h[3], id)
    end
    fields[5], fields[6] = "incarnation", whole((tonumber(h[4]) or 0) + (h[1] == "created" and 0 or 1))
    fields[7], fields[8] = "fence", h[5] or "0"
  end
  if ARGV[at + 1] ~= "" then
    fields[#fields + 1], fields[#fields + 2] = "nonce", ARGV[at + 1]
  end
  fields[#fields + 1] = job.word == "queued" and "enqueued_at" or "created_at"
  fields[#fields + 1] = whole(now)
  for value = at + 7, at + 6 + tonumber(ARGV[at + 6]) do
    fields[#fields + 1] = ARGV[value]
  end
  redis.call("HSET", job_key, unpack(fields))
  if job.word == "created" then
    redis.call("PEXPIRE", job_key, day_ms)
  elseif job.word == "scheduled" then
    due[#due + 1] = whole(now + tonumber(ARGV[at + 4]))
    due[#due + 1] = id
  else
    local place
    if ARGV[at + 2] == "front" then
      front = front + 1
      place = -front
    else
      seq = seq + 1
      place = seq
    end
    places[#places + 1] = whole(place - tonumber(ARGV[at + 3]) * STEP)
    places[#places + 1] = id
    if ARGV[at + 5] ~= "" then
      deadlines[#deadlines + 1] = whole(now + tonumber(ARGV[at + 5]))
      deadlines[#deadlines + 1] = id
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
return words
