-- REGISTRY: where an ended job is filed, by its status; nothing for a live one.
local REGISTRY = { finished = "finished", failed = "failed", stopped = "failed", canceled = "canceled", expired = "expired" }
