-- flags: allow-oom
-- amend: any status -> the same status, with another meta
--
-- Writes the whole value; the last writer wins, also on ended jobs. It never brings back a record that is
-- gone and leaves its TTL alone. From inside a job the lease's token must still hold.
--
-- Replies  {"ok"};  {"missing"};  {"lost"}  the lease belongs to another execution
local job_key = KEYS[1] -- hash  the record
local token   = ARGV[1] -- str   the lease's token; "" from outside the job
local meta    = ARGV[2] -- bytes the encoded meta

local h = redis.call("HMGET", job_key, "status", "token", "gone")
if not h[1] or h[3] then
  return { "missing" }
end
if token ~= "" and (h[1] ~= "started" or h[2] ~= token) then
  return { "lost" }
end
redis.call("HSET", job_key, "meta", meta)
return { "ok" }
