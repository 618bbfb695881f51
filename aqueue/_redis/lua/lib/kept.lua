-- kept(status, failure_ttl): how long an ended job is kept, ms, -1 for ever. failed and stopped:
-- their failure_ttl or the default; canceled and expired: their failure_ttl or a day.
-- include: integer
local function kept(status, failure_ttl)
  return integer(failure_ttl) or (status == "failed" or status == "stopped") and failure_ttl_ms or day_ms
end
