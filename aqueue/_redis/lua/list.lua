-- flags: no-writes
-- list: a page of the ids in a registry, in order, leaving out those whose time has passed
--
-- Replies  {id...}
local prefix   = ARGV[1] -- str   of all keys
local registry = ARGV[2] -- str   queue, scheduled, deferred, started, finished, failed, canceled or expired
local queue    = ARGV[3] -- str   the queue's name
local offset   = tonumber(ARGV[4]) -- int   skip so many
local limit    = tonumber(ARGV[5]) -- int   at most so many; at most 5,000 per call
local newest   = ARGV[6] -- str   "1": from the end

-- include: clock

local key = prefix .. registry .. ":" .. queue
local ENDED = { finished = true, failed = true, canceled = true, expired = true }
if ENDED[registry] then
  local from = "(" .. whole(now)
  if newest == "1" then
    return redis.call("ZREVRANGEBYSCORE", key, "+inf", from, "LIMIT", offset, limit)
  end
  return redis.call("ZRANGEBYSCORE", key, from, "+inf", "LIMIT", offset, limit)
end
local command = newest == "1" and "ZREVRANGE" or "ZRANGE"
local overdue_key = prefix .. "expiring:" .. queue
if registry ~= "queue" or redis.call("ZCOUNT", overdue_key, "-inf", whole(now)) == 0 then
  return redis.call(command, key, offset, offset + limit - 1)
end

-- Those past their time are few, or the whole queue stands still: their places are looked up, not all ids.
local overdue, places, ids = {}, {}, {}
for _, id in ipairs(redis.call("ZRANGEBYSCORE", overdue_key, "-inf", whole(now))) do
  local rank = redis.call("ZRANK", key, id)
  if rank then
    overdue[id] = true
    places[#places + 1] = newest == "1" and redis.call("ZCARD", key) - 1 - rank or rank
  end
end
table.sort(places)
for _, place in ipairs(places) do
  if place <= offset then
    offset = offset + 1
  end
end
repeat
  local page = redis.call(command, key, offset, offset + limit - #ids - 1)
  for _, id in ipairs(page) do
    if not overdue[id] then
      ids[#ids + 1] = id
    end
  end
  offset = offset + #page
until #page == 0 or #ids == limit
return ids
