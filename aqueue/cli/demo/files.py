"""Find the text files that the demo counts, and not too much of them: it is to be over in seconds."""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import aqueue
from aqueue.cli.text import plural, printable
from aqueue.errors import SettingsError

MOST_FILES = 2_000
LARGEST_BYTES = 1_000_000
#: So many directory entries are looked at.
MOST_ENTRIES = 50_000

_OWN_SUFFIXES = (".py", ".lua", ".txt", ".md", ".typed")
#: Folders full of what nobody wrote; hidden ones are left out too.
_SKIPPED_FOLDERS = {"__pycache__", "node_modules", "site-packages"}
_LOOKED_AT = 2_048


@dataclass(slots=True)
class Found:
    """The files, and what was left out."""

    #: The folder that they are in.
    root: Path
    paths: list[Path] = field(default_factory=list[Path])
    too_large: int = 0
    unreadable: int = 0
    #: There are more than were looked at.
    capped: bool = False

    @property
    def remarks(self) -> list[str]:
        """What was left out, in words."""
        remarks: list[str] = []
        if self.capped:
            remarks.append(f"there are more files: only the first {len(self.paths):,} are counted")
        if self.too_large:
            remarks.append(f"left out: {plural(self.too_large, 'file')} over {LARGEST_BYTES:,} bytes")
        if self.unreadable:
            remarks.append(f"left out: {plural(self.unreadable, 'file')} that cannot be read")
        return remarks


def find(path: Path | None) -> Found:
    """The text files below a folder, or the one that `path` is; by default aqueue's own sources.

    Raises:
        SettingsError: There is nothing to count.
    """
    if path is None:
        return _below(Path(aqueue.__file__).parent, _OWN_SUFFIXES)
    shown = printable(str(path))
    if not os.path.lexists(path):
        raise SettingsError(f"there is no file or folder {shown!r}")
    if not path.is_dir():
        found = Found(path.parent)
        _add(found, path, ())
    else:
        found = _below(path, ())
    if not found.paths:
        raise SettingsError("; ".join([f"no text files to count in {shown!r}", *found.remarks]))
    return found


def _below(folder: Path, suffixes: tuple[str, ...]) -> Found:
    found = Found(folder)
    for entries, path in enumerate(_walk(folder)):
        if len(found.paths) >= MOST_FILES or entries >= MOST_ENTRIES:
            found.capped = True
            break
        _add(found, path, suffixes)
    found.paths.sort()
    return found


def _walk(folder: Path) -> Generator[Path, None, None]:
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED_FOLDERS and name[0] != ".")
        yield from (Path(where, name) for name in sorted(names))


def _add(found: Found, path: Path, suffixes: tuple[str, ...]) -> None:
    try:
        if not path.is_file() or (suffixes and path.suffix not in suffixes):
            return
        if path.stat().st_size > LARGEST_BYTES:
            found.too_large += 1
        elif _is_text(path):
            found.paths.append(path.absolute())
    except OSError:
        found.unreadable += 1


def _is_text(path: Path) -> bool:
    """Whether it begins without a NUL byte, as text in any usual encoding but UTF-16 does."""
    with path.open("rb") as file:
        return b"\0" not in file.read(_LOOKED_AT)
