-- flags: allow-oom
-- mend workers: records and their index agree, and both end
--
-- Replies  {kind, subject, "ok" or "left"...}  one for each damage
local workers_key = KEYS[1] -- zset  worker uuids -> end of their records, unix ms
local prefix      = ARGV[1] -- str   of all keys
local repair      = ARGV[2] -- str   "1": mend what is found
local lease_ms    = tonumber(ARGV[3]) -- int   where a record does not tell
-- ARGV[4...] uuids, at most 50

-- include: clock
-- include: given
-- include: found
-- include: record

given(lease_ms)
local function examine(id)
  local key = prefix .. "worker:" .. id
  local score = fits("workers") and tonumber(redis.call("ZSCORE", workers_key, id) or "")
  if type_of("worker:" .. id) ~= "hash" then
    if score and score > now and found("worker_gone", id) then
      redis.call("ZREM", workers_key, id)
    end
    return
  end
  local h = redis.call("HMGET", key, "heartbeat", "lease")
  local life = 4 * (h[2] and is_number(h[2]) and tonumber(h[2]) or lease_ms)
  local is_alive = h[1] and is_number(h[1]) and h[1] + life > now
  if redis.call("PTTL", key) == -1 and found("worker_ttl", id) then
    redis.call("PEXPIRE", key, whole(life + 3600000))
  end
  if is_alive and not score and fits("workers") and found("worker_unlisted", id) then
    redis.call("ZADD", workers_key, whole(now + life), id)
  elseif score and score > now + 2 * life and found("worker_score", id) then
    redis.call("ZADD", workers_key, whole(now + life), id)
  end
end

for i = 4, #ARGV do
  examine(ARGV[i])
end
return words
