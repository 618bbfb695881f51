-- flags: allow-oom
-- promote: scheduled -> queued, for jobs that are due
--
-- Claims promote in the queues they serve; maintenance does it for all others, so that counts and
-- positions are true without a worker. At most 100 per queue and call.
--
-- Replies  the largest number promoted in one queue: 100 means call again
local prefix = ARGV[1] -- str   of all keys
-- ARGV[2...] queue names

-- include: clock
-- include: typed
-- include: place
-- include: wake
-- include: promote

for q = 2, #ARGV do
  typed(ARGV[q], "queue", "scheduled", "expiring")
end
local most = 0
for q = 2, #ARGV do
  local count = promote(ARGV[q])
  if count > 0 then
    wake(ARGV[q])
  end
  most = math.max(most, count)
end
return most
