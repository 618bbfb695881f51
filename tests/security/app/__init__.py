"""A program whose functions a worker may run."""
