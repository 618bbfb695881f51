-- kept_ms(h): how long an ended job is kept, -1 for ever. lease_of(h): how long its holder's leases are.
-- offset(h, score): its place within its priority, or ahead of all. is_right(h, score): whether it can lie there.
-- include: kept
-- include: place
local function kept_ms(h)
  if h.status == "finished" then
    return tonumber(h.result_ttl or result_ttl_ms)
  end
  return kept(h.status, h.failure_ttl)
end
local function lease_of(h)
  local holder = string.match(h.token or "", "^[^:]*")
  local lease = facts(prefix .. "worker:" .. holder, "lease")[1]
  return lease and is_number(lease) and tonumber(lease) or lease_ms
end
local function offset(h, score)
  return score + (score < -100.5 * STEP and 101 or tonumber(h.priority or "0")) * STEP
end
local function is_right(h, score)
  if ENDED[h.status] then
    local keep = kept_ms(h)
    return keep < 0 and score == math.huge or keep >= 0 and score > 0 and score <= now + keep + day_ms
  end
  if h.status == "queued" then
    return math.abs(offset(h, score)) < STEP / 2
  end
  return score > 0 and score < (h.status == "started" and now + 2 * lease_of(h) or 2 ^ 53)
end
