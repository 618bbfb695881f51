-- aside(kind, name): move a key that we did not write out of our way. Nothing of others is deleted.
-- include: found
local function aside(kind, name)
  local elsewhere = prefix .. "aside:" .. whole(now) .. ":" .. name
  if found(kind, name) and redis.call("RENAMENX", prefix .. name, elsewhere) == 0 then
    left()
  end
end
