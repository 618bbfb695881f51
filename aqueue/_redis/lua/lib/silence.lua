-- silence(lease_ms): whether nobody has beaten for half a lease, or the clock has jumped. Then every
-- lease looks expired, and none of them is.
local function silence(lease_ms)
  local last = tonumber(redis.call("GET", heartbeat_key) or "0") or 0
  return now - last > lease_ms / 2 or last - now > lease_ms * 2
end

-- held(lease_ms): whether recovery waits. A hold further ahead than two leases was set before the
-- clock was put back, and counts as one lease.
local function held(lease_ms)
  local hold = tonumber(redis.call("GET", hold_key) or "0") or 0
  if hold > now + lease_ms * 2 then
    return now + lease_ms
  end
  return hold > now and hold or nil
end
