-- next_place(queue, priority): the score behind all of this priority that wait now.
-- first_place(queue, priority): the score before all of them.
-- include: counted
-- include: integer
local STEP = 70368744177664 -- 2^46: room for so many jobs within one priority

local function next_place(queue, priority)
  local seq = counted(prefix .. "meta:" .. queue, "seq", 1)
  return whole(seq - (integer(priority) or 0) * STEP)
end

local function first_place(queue, priority)
  local front = counted(prefix .. "meta:" .. queue, "front", 1)
  return whole(-front - (integer(priority) or 0) * STEP)
end
