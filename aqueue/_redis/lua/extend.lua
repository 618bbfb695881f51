-- flags: allow-oom
-- extend: started -> started, with a later deadline; the worker's own beat
--
-- Renews the leases a worker holds and its record, and notes that somebody beats. If nobody did for half a
-- lease, Redis was away and not the workers: recovery is held back for one lease.
--
-- Replies  {{lost id...}, {id, request...}}  lost: the lease belongs to another execution or the job has
--          ended; request: "cancel" or "stop" was asked of a running job
local heartbeat_key = KEYS[1] -- string last beat of anyone, unix ms
local hold_key      = KEYS[2] -- string no recovery before, unix ms
local worker_key    = KEYS[3] -- hash   the worker's record
local workers_key   = KEYS[4] -- zset   worker uuids -> end of their records, unix ms
local prefix        = ARGV[1] -- str    of all keys
local worker_id     = ARGV[2] -- str    the worker's uuid
local lease_ms      = tonumber(ARGV[3]) -- int    length of the lease
local fact_count    = tonumber(ARGV[4]) -- int    how many fields and values of the worker's record follow
-- ARGV[5...] these; then three per lease: queue, id, token

-- include: clock
-- include: given
-- include: silence
-- include: facts

given(lease_ms, fact_count)
local leases_from = 5 + fact_count
local rest = #ARGV + 1 - leases_from
if fact_count < 0 or fact_count % 2 ~= 0 or rest < 0 or rest % 3 ~= 0 or #ARGV > 2000 then
  error("aqueue: a fact or a lease is incomplete, or there are too many")
end
local record = { "heartbeat", whole(now), "lease", whole(lease_ms), unpack(ARGV, 5, 4 + fact_count) }
local silent = silence(lease_ms)
redis.call("GET", hold_key)
redis.call("HLEN", worker_key)
redis.call("ZCARD", workers_key)
local lost, asked, deadlines = {}, {}, {}
for i = leases_from, #ARGV, 3 do
  local queue, id, token = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local h = facts(prefix .. "job:" .. id, "status", "token", "request")
  local member = redis.call("ZSCORE", prefix .. "started:" .. queue, id)
  if h[1] == "started" and h[2] == token and member then
    deadlines[queue] = deadlines[queue] or {}
    table.insert(deadlines[queue], whole(now + lease_ms))
    table.insert(deadlines[queue], id)
    if h[3] then
      asked[#asked + 1] = id
      asked[#asked + 1] = h[3]
    end
  else
    lost[#lost + 1] = id
  end
end

redis.call("SET", heartbeat_key, whole(now))
if silent then
  redis.call("SET", hold_key, whole(now + lease_ms))
end
redis.call("HSET", worker_key, unpack(record))
redis.call("PEXPIRE", worker_key, whole(lease_ms * 4 + 3600000)) -- the last claim is in it
redis.call("ZADD", workers_key, whole(now + lease_ms * 4), worker_id)
for queue, pairs_of in pairs(deadlines) do
  redis.call("ZADD", prefix .. "started:" .. queue, unpack(pairs_of))
end
return { lost, asked }
