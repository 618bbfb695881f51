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
-- ARGV[4...] per job: id, token, kind (finish, fail, stop, cancel, retry, release), number (finish: ms to keep
-- it, -1 for ever; retry, release: delay in ms), value (finish: the encoded result or ""; fail, retry: the
-- traceback; release: "unknown" or ""), and for fail and retry: error_type, error_message

-- include: clock
-- include: given
-- include: typed
-- include: place
-- include: wake
-- include: kept
-- include: ended
-- include: history
-- include: facts

local FINISHED = { "status", "token", "queue", "request", "incarnation", "attempts" }
local OTHERS = { "status", "token", "queue", "request", "incarnation", "attempts", "failure_ttl", "priority", "started_at", "worker_name", "misses", "releases" }
local ENDED_AS = { fail = "failed", stop = "stopped", cancel = "canceled" }
local LOSING = { retry = true, release = true } -- a cancel or stop that was asked for wins over these
local HAS_ERROR = { fail = true, retry = true }
local PARTS = { finish = 5, fail = 7, stop = 5, cancel = 5, retry = 7, release = 5 }

given(failure_ttl_ms, day_ms)
local jobs, numbers, settled = {}, {}, {}
local i = 4
while i <= #ARGV do
  local id, token, kind = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local number = tonumber(ARGV[i + 3]) or 0.5
  if not PARTS[kind] or number % 1 ~= 0 or number > 2 ^ 53 then
    error("aqueue: no such outcome, or its number is none")
  end
  local h = facts(prefix .. "job:" .. id, unpack(kind == "finish" and FINISHED or OTHERS))
  jobs[#jobs + 1], numbers[#numbers + 1] = h, number
  h[2] = h[3] and h[2] -- damaged: nothing can be recorded where no queue is named; recover takes it from its registry
  if h[2] ~= token then
    settled[#jobs] = facts(prefix .. "job:" .. id, "settled")[1]
  elseif h[1] == "started" then
    if kind == "finish" then
      typed(h[3], "started", "finished")
    else
      typed(h[3], "started", "finished", "queue", "scheduled", "failed", "canceled")
    end
    if kind == "retry" then
      redis.call("LLEN", prefix .. "history:" .. id)
    end
  end
  i = i + PARTS[kind]
end
if i ~= #ARGV + 1 or #jobs > 100 then
  error("aqueue: an outcome is incomplete, or there are too many")
end

local done, removed = {}, {}

-- close(id, h, status, keep): the end, for good
local function close(id, h, status, keep)
  redis.call("HSET", prefix .. "job:" .. id, "status", status, "ended_at", later(0))
  if h[4] then
    redis.call("HDEL", prefix .. "job:" .. id, "request")
  end
  file_ended(id, h[3], status, keep, not (h[5] or h[6]))
end

-- finish(i, id, h, keep): keep the result, or a tombstone for a minute where nothing is to be kept
local function finish(i, id, h, keep)
  local value, job_key = ARGV[i + 4], prefix .. "job:" .. id
  if keep == 0 then
    local nonce = redis.call("HGET", job_key, "nonce") or ""
    redis.call("UNLINK", job_key, prefix .. "history:" .. id)
    redis.call("HSET", job_key, "status", "finished", "gone", "1", "token", h[2], "nonce", nonce, "queue", h[3], "incarnation", h[5] or "0")
    redis.call("PEXPIRE", job_key, 60000)
    counted(prefix .. "meta:" .. h[3], "finished", 1)
    redis.pcall("PUBLISH", prefix .. "done:" .. id, "finished")
    return
  end
  if value ~= "" then
    redis.call("SET", prefix .. "result:" .. id, value, unpack(keep < 0 and {} or { "PX", whole(keep) }))
  end
  close(id, h, "finished", keep)
end

-- fail(i, id, h, status): keep the traceback
local function fail(i, id, h, status)
  local job_key = prefix .. "job:" .. id
  if status == "failed" then
    redis.call("HSET", job_key, "exc_info", ARGV[i + 4], "error_type", ARGV[i + 5], "error_message", ARGV[i + 6])
  end
  close(id, h, status, kept(status, h[7]))
end

-- again(i, id, h, delay): back into the queue, or scheduled
local function again(i, id, h, delay)
  local kind, queue, job_key = ARGV[i + 2], h[3], prefix .. "job:" .. id
  if HAS_ERROR[kind] then
    redis.call("HSET", job_key, "attempts", whole((integer(h[6]) or 0) + 1))
    remember(id, "retried", h[9], later(0), h[10] or string.match(h[2], "^[^:]*"), ARGV[i + 5], ARGV[i + 6], ARGV[i + 4])
  else
    local counter, count = "releases", h[12]
    if ARGV[i + 4] == "unknown" then
      counter, count = "misses", h[11]
    end
    redis.call("HSET", job_key, counter, whole((integer(count) or 0) + 1))
  end
  redis.call("HDEL", job_key, "token", "started_at", "worker_name")
  if delay > 0 then
    redis.call("HSET", job_key, "status", "scheduled", "settled", h[2])
    redis.call("ZADD", prefix .. "scheduled:" .. queue, later(delay), id)
  else
    local place = kind == "release" and first_place(queue, h[8]) or next_place(queue, h[8])
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
i = 4
for n, h in ipairs(jobs) do
  local id, token, kind = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local said = "ok"
  if h[1] ~= "started" or h[2] ~= token then
    said = h[2] == token and word(kind, h[1]) or settled[n] == token and "ok" or "lost"
  else
    if not done[id] then
      done[id] = ENDED_AS[LOSING[kind] and h[4] or kind] or kind
      removed[h[3]] = removed[h[3]] or {}
      table.insert(removed[h[3]], id)
      if kind == "finish" then
        finish(i, id, h, numbers[n])
      elseif LOSING[done[id]] then
        again(i, id, h, numbers[n])
      else
        fail(i, id, h, done[id])
      end
    end
    said = word(kind, done[id])
  end
  if said ~= "ok" then
    words[#words + 1] = n
    words[#words + 1] = said
  end
  i = i + PARTS[kind]
end
for queue, ids in pairs(removed) do
  redis.call("ZREM", prefix .. "started:" .. queue, unpack(ids))
end
list_ended()
return words
