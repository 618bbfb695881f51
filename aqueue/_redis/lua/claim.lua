-- flags: allow-oom
-- claim: queued -> started, with a lease; queued -> expired where the ttl has passed
--
-- Takes jobs from the queues in the order given, promoting due ones first. The jobs and their leases change hands
-- in one step, for any number of queues. The same nonce gets the same jobs again while they are still
-- this worker's: the reply to the first call may have been lost. Claims are numbered: one that the network
-- kept back until a later one was answered takes nothing, for nobody would run it. One that stands here until
-- a wake token comes may outlive its worker, so it takes nothing unless the worker has beaten lately.
--
-- Replies  {next_ms, more, now, id, token, {field, value...}...}  next_ms: until the earliest scheduled job is due, -1
--          for none; more: "1" while claimable jobs are left; the fields are those of before the claim, or on a
--          replay of after it
local worker_key     = KEYS[1] -- hash  the worker's record
local prefix         = ARGV[1] -- str   of all keys
local worker_id      = ARGV[2] -- str   the worker's uuid
local nonce          = ARGV[3] -- str   of this call: a number, higher than that of the worker's last one
local limit          = tonumber(ARGV[4]) -- int   free slots, at most 100
local lease_ms       = tonumber(ARGV[5]) -- int   length of the lease
local max_bytes      = tonumber(ARGV[6]) -- int   arguments per call, but at least one job
local worker_name    = ARGV[7] -- str   stored with the job; "" when it is the uuid
local failure_ttl_ms = tonumber(ARGV[8]) -- int   default life of failed jobs
local day_ms         = tonumber(ARGV[9]) -- int   life of expired jobs
local alive_ms       = tonumber(ARGV[10]) -- int  how old the worker's last beat may be; 0: as old as it likes
-- ARGV[11...] names of the queues, in order of service

-- include: clock
-- include: given
-- include: place
-- include: fence
-- include: kept
-- include: ended
-- include: expire
-- include: promote

given(limit, lease_ms, max_bytes, failure_ttl_ms, day_ms, alive_ms)
if limit > 100 then
  error("aqueue: too many jobs for one call")
end
local last = redis.call("HMGET", worker_key, "claim", "claimed", "heartbeat")
local is_replay = last[1] == nonce
local is_late = (integer(last[1]) or 0) > (tonumber(nonce) or math.huge)
local is_alive = alive_ms == 0 or now - (integer(last[3]) or 0) <= alive_ms
local is_new = is_alive and not is_replay and not is_late
-- Each key is read before the first write, so that a foreign one of another type stops the script in time.
local is_paused, is_rung, delayed = {}, {}, {}
for q = 11, #ARGV do
  local queue = ARGV[q]
  is_paused[queue] = redis.call("HGET", prefix .. "meta:" .. queue, "paused") == "1"
  is_rung[queue] = redis.call("LLEN", prefix .. "wake:" .. queue) > 0
  delayed[queue] = redis.call("ZCARD", prefix .. "scheduled:" .. queue)
  if redis.call("ZCARD", prefix .. "queue:" .. queue) + delayed[queue] > 0 then
    redis.call("ZCARD", prefix .. "started:" .. queue)
    if redis.call("ZCARD", prefix .. "expiring:" .. queue) + delayed[queue] > 0 then
      redis.call("ZCARD", prefix .. "expired:" .. queue)
    end
  end
end

local holder = worker_id .. ":" .. nonce .. ":"
local reply, ids = { -1, "", later(0) }, {}
if is_replay then
  for id in string.gmatch(last[2] or "", "%S+") do
    local job_key = prefix .. "job:" .. id
    local h = facts(job_key, "status", "token")
    if h[1] == "started" and string.sub(h[2] or "", 1, #holder) == holder then
      reply[#reply + 1] = id
      reply[#reply + 1] = h[2]
      reply[#reply + 1] = redis.call("HGETALL", job_key)
    end
  end
end

local named = worker_name ~= "" and { "worker_name", worker_name } or {}

-- start(id, place, fields, fence): queued -> started
local function start(id, place, fields, fence)
  local token = holder .. fence
  redis.call("HSET", prefix .. "job:" .. id, "status", "started", "token", token, "started_at", later(0), "place", place, unpack(named))
  ids[#ids + 1] = id
  reply[#reply + 1] = id
  reply[#reply + 1] = token
  reply[#reply + 1] = fields
end

-- read(fields): status, bytes of arguments, and what only some records have
local RARE = { ttl = true, failure_ttl = true, settled = true, fence = true, token = true }
local function read(fields)
  local status, size, rare = nil, 0, nil
  for f = 1, #fields, 2 do
    local name = fields[f]
    if name == "status" then
      status = fields[f + 1]
    elseif name == "data" then
      size = #fields[f + 1]
    elseif RARE[name] then
      rare = rare or {}
      rare[name] = fields[f + 1]
    end
  end
  return status, size, rare
end

-- take(queue): claim from one queue until the slots or the bytes are used up; whether that has emptied it
local bytes = 0
local function take(queue)
  local queue_key, expiring_key = prefix .. "queue:" .. queue, prefix .. "expiring:" .. queue
  local free = limit - #ids
  local found = redis.call("ZRANGE", queue_key, 0, free - 1, "WITHSCORES")
  local gone, leases, timed = 0, {}, {}
  for i = 1, #found, 2 do
    local id = found[i]
    local fields = told(redis.pcall("HGETALL", prefix .. "job:" .. id))
    local status, size, rare = read(fields)
    if #ids > 0 and bytes + size > max_bytes then
      break
    end
    gone = gone + 1
    local deadline = rare and rare.ttl and redis.call("ZSCORE", expiring_key, id)
    if deadline then
      timed[#timed + 1] = id
    end
    if status ~= "queued" then
      redis.log(redis.LOG_NOTICE, "aqueue: dropped " .. id .. " from a queue: its record says otherwise")
    elseif deadline and tonumber(deadline) <= now then
      expire(id, queue, rare.failure_ttl)
    else
      bytes = bytes + size
      start(id, found[i + 1], fields, rare and whole(fence_of(rare.token, rare.settled, rare.fence) + 1) or "1")
      leases[#leases + 1] = later(lease_ms)
      leases[#leases + 1] = id
    end
  end
  if gone > 0 then
    redis.call("ZREMRANGEBYRANK", queue_key, 0, whole(gone - 1))
  end
  if #timed > 0 then
    redis.call("ZREM", expiring_key, unpack(timed))
  end
  if #leases > 0 then
    redis.call("ZADD", prefix .. "started:" .. queue, unpack(leases))
  end
  return #found < free * 2 and #found == gone * 2
end

local next_ms, more, open = -1, "", is_new
for q = 11, #ARGV do
  local queue = ARGV[q]
  if delayed[queue] > 0 then
    promote(queue)
  end
  if not is_paused[queue] then
    local is_empty = open and #ids < limit and take(queue)
    if not is_empty and redis.call("ZCARD", prefix .. "queue:" .. queue) > 0 then
      more, open = "1", false -- no queue is served before those ahead of it are empty
      if not is_rung[queue] then
        redis.call("LPUSH", prefix .. "wake:" .. queue, "1")
      end
    elseif is_rung[queue] then
      redis.call("DEL", prefix .. "wake:" .. queue) -- nothing is left to wake anybody for
    end
    local first = delayed[queue] > 0 and redis.call("ZRANGE", prefix .. "scheduled:" .. queue, 0, 0, "WITHSCORES") or {}
    if first[2] then
      local delay = math.max(0, first[2] - now)
      next_ms = next_ms < 0 and delay or math.min(next_ms, delay)
    end
  end
end
list_ended()
if is_new then
  redis.call("HSET", worker_key, "claim", nonce, "claimed", table.concat(ids, " "), "lease", whole(lease_ms))
  if not last[1] then -- each beat renews it: a claim may be repeated after an outage
    redis.call("PEXPIRE", worker_key, whole(lease_ms * 4 + 3600000))
  end
end
reply[1], reply[2] = next_ms, more
return reply
