-- kept(status, failure_ttl): how long an ended job is kept, ms, -1 for ever. failed and stopped:
-- their failure_ttl or the default; canceled and expired: their failure_ttl or a day.
local function kept(status, failure_ttl)
  if failure_ttl then
    return tonumber(failure_ttl)
  end
  return (status == "failed" or status == "stopped") and failure_ttl_ms or day_ms
end
