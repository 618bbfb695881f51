"""The `aqueue` command, also as `python -m aqueue`."""

from __future__ import annotations

from aqueue.cli.app import app
from aqueue.cli.streams import prepare_streams


def main() -> None:
    """Run a command and exit with its code."""
    prepare_streams()
    app(prog_name="aqueue")


if __name__ == "__main__":
    main()
