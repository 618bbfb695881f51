"""Pure values: the state machine, records, options, payloads, outcomes. No I/O and no event loop."""
