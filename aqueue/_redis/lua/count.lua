-- flags: no-writes
-- count: how many jobs each registry lists, leaving out those whose time has passed
--
-- Tells the truth also when no worker is there to expire and prune.
--
-- Replies  {count...}, one per pair
local prefix = ARGV[1] -- str   of all keys
-- ARGV[2...] pairs: registry, queue

-- include: clock

local counts = {}
for i = 2, #ARGV, 2 do
  local registry, queue = ARGV[i], ARGV[i + 1]
  local count = redis.call("ZCARD", prefix .. registry .. ":" .. queue)
  if registry == "queue" then
    count = count - redis.call("ZCOUNT", prefix .. "expiring:" .. queue, "-inf", whole(now))
  elseif registry == "finished" or registry == "failed" or registry == "canceled" or registry == "expired" then
    count = count - redis.call("ZCOUNT", prefix .. registry .. ":" .. queue, "-inf", whole(now))
  end
  counts[#counts + 1] = math.max(0, count)
end
return counts
