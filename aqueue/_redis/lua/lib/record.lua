-- is_id(text), is_name(text), is_number(text, length), is_field(name, text): what we would have written.
-- record(id, names): these fields of a job's hash, false where absent; nil where there is no record of ours.
-- include: types
local function is_id(text)
  return #text <= 128 and string.find(text, "^[%w_.:@-]+$") ~= nil
end
local function is_name(text)
  return text and #text <= 64 and string.find(text, "^[%w_.-]+$") ~= nil
end
local function is_number(text, length)
  return #text <= (length or 17) and string.find(text, "^-?%d+$") ~= nil
end
local function is_field(name, text)
  return is_number(text) and (name ~= "priority" or math.abs(text) <= 100)
end
local function record(id, names)
  if not is_id(id) or type_of("job:" .. id) ~= "hash" then
    return nil
  end
  local values, h = redis.call("HMGET", prefix .. "job:" .. id, unpack(names)), {}
  for n, name in ipairs(names) do
    h[name] = values[n]
  end
  return (h.status or h.queue or h["function"]) and h or nil
end
