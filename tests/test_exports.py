"""`import aqueue` costs nothing; whatever is used first brings all that the package promises."""

from __future__ import annotations

import subprocess
import sys

import pytest

import aqueue


def run(program: str) -> str:
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=25)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_loads_nothing_but_itself() -> None:
    program = (
        "import sys; before = set(sys.modules); import aqueue; "
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names), "
        "[name for name in sys.modules if name.startswith('aqueue.')])"
    )

    assert run(program) == "['aqueue'] []"


@pytest.mark.parametrize(
    "program",
    [
        "import aqueue; print(aqueue.Queue.__name__)",
        "from aqueue import Queue; print(Queue.__name__)",
        "from aqueue import *; print(Queue.__name__)",
        "import aqueue.errors, aqueue; print(aqueue.Queue.__name__)",
        "import aqueue; aqueue.errors.JobFailed; print(aqueue.queue.Queue.__name__)",
        "import aqueue; print('Queue' if 'Queue' in dir(aqueue) else '')",
    ],
)
def test_a_public_name_is_there_however_it_is_asked_for(program: str) -> None:
    assert run(program) == "Queue"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'aqueue' has no attribute 'Que'"):
        getattr(aqueue, "Que")  # noqa: B009
    with pytest.raises(ImportError, match=r"cannot import name 'Que' from 'aqueue'"):
        exec("from aqueue import Que")
