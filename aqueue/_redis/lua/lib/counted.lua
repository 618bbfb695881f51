-- counted(meta_key, counter, by): a queue's counter, so much higher. One that is no number starts anew: it has to stop
-- neither the queue nor a call that has begun to write.
local function counted(meta_key, counter, by)
  local count = redis.pcall("HINCRBY", meta_key, counter, by)
  if tonumber(count) then
    return count
  elseif not (string.find(count.err, "not an integer", 1, true) or string.find(count.err, "overflow", 1, true)) then
    error(count)
  end
  redis.call("HSET", meta_key, counter, by)
  return tonumber(by)
end
