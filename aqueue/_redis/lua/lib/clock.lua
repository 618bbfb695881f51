-- clock: Redis' own time decides everything; clients send delays.
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- whole(number): all digits of an integer; Lua itself writes 1763784000123 as 1.763784000123e+12.
local function whole(number)
  return string.format("%.0f", number)
end
