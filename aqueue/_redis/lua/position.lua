-- flags: no-writes
-- position: how many jobs are before this one in its queue, leaving out those whose time has passed
--
-- Replies  {position} from 0;  {"missing"}  it does not wait in this queue
local queue_key    = KEYS[1] -- zset  waiting ids -> place
local expiring_key = KEYS[2] -- zset  waiting ids with a ttl -> deadline, unix ms
local job_id       = ARGV[1] -- str

-- include: clock

local rank = redis.call("ZRANK", queue_key, job_id)
if not rank then
  return { "missing" }
end
local position = rank
for _, id in ipairs(redis.call("ZRANGEBYSCORE", expiring_key, "-inf", whole(now))) do
  if id == job_id then
    return { "missing" }
  end
  local other = redis.call("ZRANK", queue_key, id)
  if other and other < rank then
    position = position - 1
  end
end
return { position }
