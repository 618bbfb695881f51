-- given(...): refuse the call unless each of these is a whole number. What fails on one later leaves half a change.
local function given(...)
  for n = 1, select("#", ...) do
    local number = select(n, ...) or 0.5
    if number % 1 ~= 0 or math.abs(number) > 2 ^ 53 then
      error("aqueue: one of the call's numbers is none", 2)
    end
  end
end
