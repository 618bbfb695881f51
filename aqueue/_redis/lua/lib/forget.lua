-- forget(id): remove all that is kept of a job but its place in a registry.
local function forget(id)
  redis.call("UNLINK", prefix .. "job:" .. id, prefix .. "result:" .. id, prefix .. "history:" .. id)
end
