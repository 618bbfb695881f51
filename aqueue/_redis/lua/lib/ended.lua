-- file_ended(id, queue, status, keep, is_first): an ended job, kept so long; is_first: it has no history. Its
-- keys' own TTL is a net for the case that nobody prunes. Tells who waits: a PUBLISH that is refused (ACL) must
-- not undo the transition, waiters read again every 2 s. list_ended(): list all that were filed.
-- include: counted
local filed = {}
local function file_ended(id, queue, status, keep, is_first)
  filed[queue] = filed[queue] or {}
  local listed = filed[queue][status] or {}
  filed[queue][status] = listed
  listed[#listed + 1] = keep < 0 and "+inf" or later(keep)
  listed[#listed + 1] = id
  if keep >= 0 then
    redis.call("PEXPIREAT", prefix .. "job:" .. id, later(keep + day_ms))
  end
  if keep >= 0 and not is_first then
    redis.call("PEXPIREAT", prefix .. "history:" .. id, later(keep + day_ms))
  end
  redis.pcall("PUBLISH", prefix .. "done:" .. id, status)
end
local function list_ended()
  for queue, by_status in pairs(filed) do
    for status, listed in pairs(by_status) do
      redis.call("ZADD", prefix .. (status == "stopped" and "failed" or status) .. ":" .. queue, unpack(listed))
      counted(prefix .. "meta:" .. queue, status, whole(#listed / 2))
    end
  end
end
