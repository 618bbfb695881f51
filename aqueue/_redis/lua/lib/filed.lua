-- FILED: where a job lies, by its status; a saved one in no registry. ENDED: whether it has ended.
local FILED = {
  created = "", queued = "queue", scheduled = "scheduled", deferred = "deferred", started = "started",
  finished = "finished", failed = "failed", stopped = "failed", canceled = "canceled", expired = "expired",
}
local ENDED = { finished = true, failed = true, stopped = true, canceled = true, expired = true }
