-- wake(queue): let one idle worker look at the queue. One token is enough: whoever takes it and
-- leaves jobs behind pushes the next. None for a paused queue; resume pushes one.
local function wake(queue)
  local wake_key = prefix .. "wake:" .. queue
  if redis.call("HGET", prefix .. "meta:" .. queue, "paused") ~= "1" and redis.call("LLEN", wake_key) == 0 then
    redis.call("LPUSH", wake_key, "1")
  end
end
