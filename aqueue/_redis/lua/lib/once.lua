-- The first answer to a call is kept for a minute under its nonce: a call that is repeated because its
-- reply was lost gets the same words again and changes nothing.
local function answered()
  local known = redis.call("GET", reply_key)
  if not known then
    return nil
  end
  local words = {}
  for word in string.gmatch(known, "([^\n]*)\n") do
    words[#words + 1] = word
  end
  return words
end

local function answer(words)
  local lines = {}
  for n, word in ipairs(words) do
    words[n] = string.gsub(word, "\n", " ") -- a status that others wrote
    lines[n] = words[n] .. "\n"
  end
  redis.call("SET", reply_key, table.concat(lines), "PX", 60000)
  return words
end
