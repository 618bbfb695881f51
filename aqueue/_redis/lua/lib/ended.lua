-- kept(status, failure_ttl): how long an ended job is kept, ms, -1 for ever. failed and stopped:
-- their failure_ttl or the default; canceled and expired: their failure_ttl or a day.
local function kept(status, failure_ttl)
  if failure_ttl then
    return tonumber(failure_ttl)
  end
  return (status == "failed" or status == "stopped") and failure_ttl_ms or day_ms
end

-- file_ended(id, queue, status, keep): list an ended job where it is found until it is pruned, and
-- tell who waits. The keys' own TTL is a net for the case that nobody prunes. A PUBLISH that is
-- refused (ACL) must not undo the transition: waiters read again every 2 s.
local function file_ended(id, queue, status, keep)
  local registry = status == "stopped" and "failed" or status
  local registry_key = prefix .. registry .. ":" .. queue
  if keep < 0 then
    redis.call("ZADD", registry_key, "+inf", id)
  else
    redis.call("ZADD", registry_key, whole(now + keep), id)
    redis.call("PEXPIRE", prefix .. "job:" .. id, whole(keep + day_ms))
    redis.call("PEXPIRE", prefix .. "history:" .. id, whole(keep + day_ms))
  end
  redis.call("HINCRBY", prefix .. "meta:" .. queue, status, 1)
  redis.pcall("PUBLISH", prefix .. "done:" .. id, status)
end
