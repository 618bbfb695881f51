"""For tests of programs that enqueue: run what waits, look at what was enqueued, let time pass.

No fakes: all of it works on a real server, in the loop of the test, under any plugin or none. The
fixtures of `aqueue.pytest_plugin` bring the server and a namespace for each test.
"""

from aqueue.testing.asserts import assert_enqueued, refute_enqueued
from aqueue.testing.burst import BurstReport, run_burst
from aqueue.testing.inlining import inline
from aqueue.testing.travel import time_travel

__all__ = ["BurstReport", "assert_enqueued", "inline", "refute_enqueued", "run_burst", "time_travel"]
