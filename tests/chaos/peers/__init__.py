"""Other queues under some of the faults that aqueue is put under: `python -m tests.chaos.peers`."""
