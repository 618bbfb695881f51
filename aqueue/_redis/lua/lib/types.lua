-- TYPES: of each kind of key. type_of(name), fits(name): it is of its type, or absent; of a name without the prefix.
local TYPES = {
  job = "hash", result = "string", history = "list", reply = "string", meta = "hash", wake = "list",
  queue = "zset", scheduled = "zset", deferred = "zset", started = "zset", finished = "zset", failed = "zset",
  canceled = "zset", expired = "zset", expiring = "zset", queues = "set", workers = "zset", worker = "hash",
  heartbeat = "string", hold = "string", schema = "string",
}

local function type_of(name)
  return redis.call("TYPE", prefix .. name).ok
end

local function fits(name)
  local held = type_of(name)
  return held == "none" or held == TYPES[string.match(name, "^[^:]*")]
end
