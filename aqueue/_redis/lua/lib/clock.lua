-- clock: Redis' own time decides everything; clients send delays.
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- whole(number): all digits of an integer; Lua itself writes 1763784000123 as 1.763784000123e+12.
local function whole(number)
  return string.format("%.0f", number)
end

-- later(ms): the time so much later, with all its digits. The jobs of a call share a few, and to write one costs
-- as much as a small command.
local times = {}
local function later(ms)
  local text = times[ms] or whole(now + ms)
  times[ms] = text
  return text
end
