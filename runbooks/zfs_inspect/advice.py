"""What several checks advise and refer to: commands as exact words, and the pages that they rest on."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from runbook.formats import change, look
from runbook.model import Evidence, Reference

from .facts import Pool, Vdev

DOCS = "https://openzfs.github.io/openzfs-docs/"
MAN = f"{DOCS}man/master/"
STATUS = Reference("zpool-status(8)", f"{MAN}8/zpool-status.8.html")
CONCEPTS = Reference("zpoolconcepts(7): Device Failure and Recovery", f"{MAN}7/zpoolconcepts.7.html")
REPLACE = Reference("zpool-replace(8)", f"{MAN}8/zpool-replace.8.html")
CLEAR = Reference("zpool-clear(8)", f"{MAN}8/zpool-clear.8.html")
SCRUB = Reference("zpool-scrub(8)", f"{MAN}8/zpool-scrub.8.html")
SCRUBBING = Reference("OpenZFS: Scrub and Resilver", f"{DOCS}Basic%20Concepts/Operations/Scrub%20and%20Resilver.html")
IMPORT = Reference("zpool-import(8)", f"{MAN}8/zpool-import.8.html")
LIST = Reference("zpool-list(8)", f"{MAN}8/zpool-list.8.html")
TUNING = Reference("OpenZFS: Workload Tuning", f"{DOCS}Performance%20and%20Tuning/Workload%20Tuning.html")
FEATURES = Reference("zpool-features(7)", f"{MAN}7/zpool-features.7.html")
PROPERTIES = Reference("zfsprops(7)", f"{MAN}7/zfsprops.7.html")
MODULE = Reference("zfs(4)", f"{MAN}4/zfs.4.html")
CACHING = Reference("OpenZFS: Caching and Auxiliary Devices", f"{DOCS}Basic%20Concepts/Pool%20Structure/Caching.html")
HIT_RATES = Reference(
    "Siebenmann, Understanding ZFS ARC hit (and miss) kstat statistics",
    "https://utcc.utoronto.ca/~cks/space/blog/2023/04/25/",
)


def message(code: str) -> Reference:
    """A page of OpenZFS about one of its messages: ZFS-8000-8A."""
    return Reference(f"OpenZFS message {code}", f"{DOCS}msg/{code}/index.html")


def reads(*words: str) -> str:
    """A command to copy that changes nothing. Words are quoted: a name may come from a stranger's recording."""
    return look(shlex.join(words))


def changes(*words: str) -> str:
    """A command to copy that changes the host, and is marked so."""
    return change(shlex.join(words))


def lines(*parts: str | Iterable[str]) -> str:
    """Advice, line by line."""
    return "\n".join(line for part in parts for line in ([part] if isinstance(part, str) else part) if line)


def names(vdevs: Sequence[Vdev]) -> str:
    return ", ".join(vdev.name for vdev in vdevs[:6]) + f" and {len(vdevs) - 6} more" * (len(vdevs) > 6)


def place(pool: Pool, *vdevs: Vdev) -> tuple[Evidence, ...]:
    """The lines of the pool and of these devices, each once."""
    return tuple(dict.fromkeys((pool.evidence, *(vdev.evidence for vdev in vdevs))))
