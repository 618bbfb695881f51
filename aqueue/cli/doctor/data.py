"""Look through the data with a bar, and judge what was found there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from aqueue.cli.doctor.finding import Finding
from aqueue.cli.options import Target
from aqueue.cli.output import progress
from aqueue.cli.text import plural, shown_name
from aqueue.damage import KINDS
from aqueue.mending import SAMPLES, Examination, Harm, count_keys, examine

#: What looking through the data takes besides what workers may do; mending it takes RENAMENX, too.
NEEDED = "+scan +sscan +zscan +type +pttl +dbsize +renamenx"


async def look_through(target: Target, *, repair: bool) -> Examination:
    """Examine, or mend, all data of the namespace."""
    total = 2 * await count_keys(target.url, namespace=target.namespace)
    with progress("Mending the data" if repair else "Looking through the data", total) as advance:
        return await examine(
            target.url, namespace=target.namespace, repair=repair, progress=_clipped(advance, total)
        )


def _clipped(advance: Callable[[int], None], total: int) -> Callable[[int], None]:
    """Steps of SCAN go past the end."""
    left = total

    def move(count: int) -> None:
        nonlocal left
        advance(min(count, left))
        left -= min(count, left)

    return move


def judge_data(seen: Examination, *, repair: bool) -> Iterator[Finding]:
    """A finding for each kind of damage."""
    for harm in seen.harms.values():
        yield _damage(harm, repair=repair)
    if not seen.harms:
        yield Finding("ok", "data", "nothing is damaged")
    if seen.unknown:
        count = len(seen.unknown)
        names = _listed(sorted(seen.unknown)[:SAMPLES], count)
        yield Finding(
            "advice", "data", f"{plural(count, 'key')} that this version does not know: {names}",
            "another program, or a newer aqueue, writes under the namespace's prefix; they are left alone",
            "give that program another prefix",
        )  # fmt: skip
    if seen.aside:
        yield Finding(
            "advice", "data", f"{plural(seen.aside, 'key')} of others, moved aside by a repair",
            "they stood in place of ours and were kept, as nobody here knows what they are",
            "look at the keys aside:*, after the prefix, and delete them",
        )  # fmt: skip


def _damage(harm: Harm, *, repair: bool) -> Finding:
    kind, count = KINDS[harm.kind], len(harm.subjects)
    seen = f"{kind.found} ({count:,}): {_listed(harm.samples, count)}"
    if not repair:
        return Finding("problem", "data", seen, kind.why, f"aqueue doctor --repair, to {kind.mending}")
    if not harm.left:
        return Finding("mended", "data", seen, kind.why, kind.mending)
    left = f"{len(harm.left):,} left, as a foreign key is in the way: aqueue doctor --repair again"
    return Finding("problem", "data", seen, kind.why, f"{left}, to {kind.mending}")


def damages(seen: Examination) -> list[dict[str, Any]]:
    """All damage as a document."""
    return [
        {
            "kind": harm.kind,
            "count": len(harm.subjects),
            "left": len(harm.left),
            "samples": harm.samples,
            "found": KINDS[harm.kind].found,
            "mending": KINDS[harm.kind].mending,
        }
        for harm in seen.harms.values()
    ]


def _listed(names: list[str], count: int) -> str:
    shown = [shown_name(name, 160) for name in names]
    return ", ".join([*shown, f"{count - len(shown):,} more"] if count > len(shown) else shown)
