"""The `aqueue` command, also as `python -m aqueue`."""

from __future__ import annotations

from aqueue.cli.app import app


def main() -> None:
    """Run a command and exit with its code."""
    app(prog_name="aqueue")


if __name__ == "__main__":
    main()
