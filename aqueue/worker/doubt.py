"""Find the jobs whose lease nobody has confirmed for its whole length: by now another worker may run them.

By default that changes nothing, since the token decides; this is for `on_unsure="cancel"`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aqueue.worker.running import Execution, Running


async def doubt(running: Running, lease: float, doubted: Callable[[Execution], None]) -> None:
    """Call `doubted` with them, again and again, until cancelled; `lease` is in seconds."""
    while True:
        await asyncio.sleep(min(1.0, lease / 10))
        latest = time.monotonic() - lease
        for execution in running:
            if execution.holds_lease and execution.sure_since < latest:
                doubted(execution)
