-- flags: allow-oom
-- leave: a worker ends; its record goes
--
-- Replies  {"ok"}
local worker_key  = KEYS[1] -- hash  the worker's record
local workers_key = KEYS[2] -- zset  worker uuids -> end of their records, unix ms
local worker_id   = ARGV[1] -- str   the worker's uuid

redis.call("HLEN", worker_key)
redis.call("ZREM", workers_key, worker_id)
redis.call("DEL", worker_key)
return { "ok" }
