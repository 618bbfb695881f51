-- facts(key, ...): these fields of a hash; none where a foreign key has taken its place, so that one
-- damaged record does not stop its neighbours halfway.
local function facts(key, ...)
  local h = redis.pcall("HMGET", key, ...)
  return h.err and {} or h
end
