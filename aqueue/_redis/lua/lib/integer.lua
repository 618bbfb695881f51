-- integer(text): the whole number that a field of a record holds; nil where it is absent or damaged. A script that
-- failed on it halfway would leave half a change, also of the job's neighbours.
local function integer(text)
  return text and #text < 18 and string.find(text, "^-?%d+$") and tonumber(text) or nil
end
