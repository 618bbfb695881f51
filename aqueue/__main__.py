"""The `aqueue` command, also as `python -m aqueue`."""

from __future__ import annotations

from aqueue.cli.app import app
from aqueue.cli.streams import open_missing


def main() -> None:
    """Run a command and exit with its code."""
    open_missing()
    app(prog_name="aqueue")


if __name__ == "__main__":
    main()
