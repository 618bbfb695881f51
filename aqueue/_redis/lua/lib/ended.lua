-- file_ended(id, queue, status, keep, is_first): an ended job, kept so long; is_first: it has no history. Its
-- keys' own TTL is a net for the case that nobody prunes. Tells who waits: a PUBLISH that is refused (ACL) must
-- not undo the transition, waiters read again every 2 s. list_ended(): list all that were filed.
local listed, counted = {}, {}
local function file_ended(id, queue, status, keep, is_first)
  local registry_key = prefix .. (status == "stopped" and "failed" or status) .. ":" .. queue
  listed[registry_key] = listed[registry_key] or {}
  table.insert(listed[registry_key], keep < 0 and "+inf" or whole(now + keep))
  table.insert(listed[registry_key], id)
  counted[status .. " " .. queue] = (counted[status .. " " .. queue] or 0) + 1
  if keep >= 0 then
    redis.call("PEXPIRE", prefix .. "job:" .. id, whole(keep + day_ms))
  end
  if keep >= 0 and not is_first then
    redis.call("PEXPIRE", prefix .. "history:" .. id, whole(keep + day_ms))
  end
  redis.pcall("PUBLISH", prefix .. "done:" .. id, status)
end
local function list_ended()
  for registry_key, pairs_of in pairs(listed) do
    redis.call("ZADD", registry_key, unpack(pairs_of))
  end
  for name, count in pairs(counted) do
    redis.call("HINCRBY", prefix .. "meta:" .. string.match(name, " (.*)"), string.match(name, "^%S+"), count)
  end
end
