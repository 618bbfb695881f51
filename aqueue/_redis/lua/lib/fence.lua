-- fence_of(token, settled, fence): the highest number of a lease that this id ever had; 0 before the first. It ends
-- the last token; `settled` has it while the job waits to run again, `fence` where no token is left.
-- include: integer
local function fence_of(...)
  local highest = 0
  for i = 1, 3 do
    highest = math.max(highest, integer(string.match(select(i, ...) or "", "%d+$")) or 0)
  end
  return highest
end
