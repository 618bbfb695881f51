-- facts(key, ...): these fields of a hash; none where a foreign key has taken its place (an error has
-- no fields), so that one damaged record does not stop its neighbours halfway.
local function facts(key, ...)
  return redis.pcall("HMGET", key, ...)
end
