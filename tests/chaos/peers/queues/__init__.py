"""One module a queue: its producer and its worker, with its documented settings for safety."""
