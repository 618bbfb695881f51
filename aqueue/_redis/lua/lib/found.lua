-- found(kind, subject, queue): note damage; whether to mend it now. Not in a dry run, nor while a foreign key
-- stands where the mending would write to this queue. left(): what was noted last could not be mended.
-- include: types
local words, ready = {}, {}
local function is_ready(queue)
  if ready[queue] == nil then
    ready[queue] = fits("queues")
    for _, kind in ipairs({ "queue", "scheduled", "deferred", "started", "finished", "failed", "canceled", "expired", "expiring", "meta", "wake" }) do
      ready[queue] = ready[queue] and fits(kind .. ":" .. queue)
    end
  end
  return ready[queue]
end

local function left()
  words[#words] = "left"
end

local function found(kind, subject, queue)
  local at = #words
  words[at + 1], words[at + 2], words[at + 3] = kind, subject, "ok"
  if repair == "1" and queue and not is_ready(queue) then
    left()
  end
  return repair == "1" and words[#words] == "ok"
end
