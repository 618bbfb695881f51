-- told(reply): the reply of a read that was tried; an error of a foreign key has no fields, so that one
-- damaged record does not stop its neighbours halfway. Any other error, a cluster that is down or a
-- command that is forbidden, says nothing about the record and ends the call.
local function told(reply)
  if reply.err and not string.find(reply.err, "WRONGTYPE", 1, true) then
    error(reply)
  end
  return reply
end

-- facts(key, ...): these fields of a hash; none where a foreign key has taken its place.
local function facts(key, ...)
  return told(redis.pcall("HMGET", key, ...))
end
