-- remember(id, ...): put an execution that is over on top of the job's history, at most 9 of them.
-- Each part is written as its length, a colon and its bytes: opaque to everyone but the reader.
local function remember(id, ...)
  local parts = {}
  for i = 1, select("#", ...) do
    local part = select(i, ...) or ""
    parts[i] = #part .. ":" .. part
  end
  redis.call("LPUSH", prefix .. "history:" .. id, table.concat(parts))
  redis.call("LTRIM", prefix .. "history:" .. id, 0, 8)
end
