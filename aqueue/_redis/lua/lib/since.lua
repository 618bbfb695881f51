-- since(text): a time that has passed; now, where it is lost or cannot have been.
local function since(text)
  local ms = tonumber(text or now)
  return ms > 0 and ms <= now and ms or now
end
