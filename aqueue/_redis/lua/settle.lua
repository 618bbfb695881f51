-- flags: allow-oom
-- settle: started -> finished, failed, stopped or canceled (for good), or queued or scheduled (runs again)
--
-- Records how executions ended and frees their leases, each on its own. Only the holder of the lease may: a
-- worker that was given up for dead must not overwrite the outcome of the one that took over. The same
-- token gets the same word again.
--
-- Replies  a word per job:  "ok"  recorded;  "canceled" or "stopped"  it was to run again, but was asked to end;
--          "lost"  the lease belongs to another execution, nothing changed
local prefix         = ARGV[1] -- str   of all keys
local failure_ttl_ms = tonumber(ARGV[2]) -- int   default life of failed jobs
local day_ms         = tonumber(ARGV[3]) -- int   life of canceled jobs; slack of the keys' own TTL
-- ARGV[4...] seven per job: id, token, kind (finish, fail, stop, cancel, retry, release), number (finish:
-- ms to keep it, -1 for ever; retry, release: delay in ms), value (finish: the encoded result or ""; fail,
-- retry: the traceback; release: "unknown" or ""), error_type, error_message

-- include: clock
-- include: typed
-- include: place
-- include: wake
-- include: kept
-- include: ended
-- include: history
-- include: facts

local FIELDS = { "status", "token", "settled", "queue", "request", "failure_ttl", "priority", "started_at", "worker_name", "fence", "attempts", "incarnation" }
local ENDED_AS = { fail = "failed", stop = "stopped", cancel = "canceled" }
local LOSING = { retry = true, release = true } -- a cancel or stop that was asked for wins over these

local jobs = {}
for i = 4, #ARGV, 7 do
  local h = facts(prefix .. "job:" .. ARGV[i], unpack(FIELDS))
  jobs[#jobs + 1] = h
  if h[1] == "started" then
    typed(h[4], "queue", "started", "scheduled", "finished", "failed", "canceled")
    if ARGV[i + 2] == "retry" then
      redis.call("LLEN", prefix .. "history:" .. ARGV[i])
    end
  end
end

local done, removed = {}, {}

-- finish(i, h): keep the result, or a tombstone for a minute where nothing is to be kept
local function finish(i, h)
  local id, keep = ARGV[i], tonumber(ARGV[i + 3])
  local job_key = prefix .. "job:" .. id
  if keep == 0 then
    local nonce = redis.call("HGET", job_key, "nonce") or ""
    redis.call("UNLINK", job_key, prefix .. "history:" .. id)
    redis.call("HSET", job_key, "status", "finished", "gone", "1", "token", h[2], "nonce", nonce, "queue", h[4], "incarnation", h[12] or "0", "fence", h[10] or "0")
    redis.call("PEXPIRE", job_key, 60000)
    redis.call("HINCRBY", prefix .. "meta:" .. h[4], "finished", 1)
    redis.pcall("PUBLISH", prefix .. "done:" .. id, "finished")
    return
  end
  redis.call("HSET", job_key, "status", "finished", "ended_at", whole(now))
  redis.call("HDEL", job_key, "place", "request")
  if ARGV[i + 4] ~= "" then
    redis.call("SET", prefix .. "result:" .. id, ARGV[i + 4], unpack(keep < 0 and {} or { "PX", whole(keep) }))
  end
  file_ended(id, h[4], "finished", keep, not (h[11] or h[12]))
end

-- fail(i, h, status): keep the traceback
local function fail(i, h, status)
  local job_key = prefix .. "job:" .. ARGV[i]
  redis.call("HSET", job_key, "status", status, "ended_at", whole(now))
  if status == "failed" then
    redis.call("HSET", job_key, "exc_info", ARGV[i + 4], "error_type", ARGV[i + 5], "error_message", ARGV[i + 6])
  end
  redis.call("HDEL", job_key, "place", "request")
  file_ended(ARGV[i], h[4], status, kept(status, h[6]), not (h[11] or h[12]))
end

-- again(i, h): back into the queue, or scheduled
local function again(i, h)
  local id, kind, delay = ARGV[i], ARGV[i + 2], tonumber(ARGV[i + 3])
  local queue, job_key = h[4], prefix .. "job:" .. id
  if kind == "retry" then
    redis.call("HINCRBY", job_key, "attempts", 1)
    remember(id, "retried", h[8], whole(now), h[9] or string.match(h[2], "^[^:]*"), ARGV[i + 5], ARGV[i + 6], ARGV[i + 4])
  else
    redis.call("HINCRBY", job_key, ARGV[i + 4] == "unknown" and "misses" or "releases", 1)
  end
  redis.call("HDEL", job_key, "token", "place", "started_at", "worker_name")
  if delay > 0 then
    redis.call("HSET", job_key, "status", "scheduled", "settled", h[2])
    redis.call("ZADD", prefix .. "scheduled:" .. queue, whole(now + delay), id)
  else
    local place = kind == "release" and first_place(queue, h[7]) or next_place(queue, h[7])
    redis.call("HSET", job_key, "status", "queued", "settled", h[2])
    redis.call("ZADD", prefix .. "queue:" .. queue, place, id)
  end
  wake(queue)
end

-- word(kind, status): what became of it, where that is not what was told
local function word(kind, status)
  return LOSING[kind] and (status == "canceled" or status == "stopped") and status or "ok"
end

local words = {}
for n, h in ipairs(jobs) do
  local i = 4 + (n - 1) * 7
  local id, token, kind = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if h[1] ~= "started" or h[2] ~= token then
    words[n] = h[2] == token and word(kind, h[1]) or h[3] == token and "ok" or "lost"
  else
    if not done[id] then
      done[id] = ENDED_AS[LOSING[kind] and h[5] or kind] or kind
      removed[h[4]] = removed[h[4]] or {}
      table.insert(removed[h[4]], id)
      if kind == "finish" then
        finish(i, h)
      elseif LOSING[done[id]] then
        again(i, h)
      else
        fail(i, h, done[id])
      end
    end
    words[n] = word(kind, done[id])
  end
end
for queue, ids in pairs(removed) do
  redis.call("ZREM", prefix .. "started:" .. queue, unpack(ids))
end
list_ended()
return words
