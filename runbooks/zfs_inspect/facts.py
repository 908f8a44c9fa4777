"""What is known of a host's ZFS, as frozen values: pools and their devices, scans, room, settings, ARC and ZIL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runbook.formats import Unread
from runbook.model import Evidence

#: The parts of a pool below its root: data first, then what serves it.
DATA, LOGS, CACHE, SPARES, SPECIAL, DEDUP = "data", "logs", "cache", "spares", "special", "dedup"
#: Without these the pool is lost, as it is without its data.
VITAL = (DATA, SPECIAL, DEDUP)
#: How many disks each kind can lose; of a mirror all but one.
PARITY = {"raidz": 1, "raidz1": 1, "raidz2": 2, "raidz3": 3, "draid": 1, "draid1": 1, "draid2": 2, "draid3": 3}
#: A vdev of so few children has lost rows on the way to us.
FEWEST = {"mirror": 2, "replacing": 2, "spare": 2, **{kind: parity + 1 for kind, parity in PARITY.items()}}


@dataclass(frozen=True, slots=True)
class Counter:
    """How often something failed; `rounded` where the tool wrote 1.05K for it."""

    count: int
    rounded: bool

    def __str__(self) -> str:
        return f"about {self.count}" if self.rounded else str(self.count)


@dataclass(frozen=True, slots=True)
class Vdev:
    """A line of the config table and what is below it.

    `kind` is root, disk, mirror, raidz1, draid1, spare, replacing …; `note` is what stands behind the counters.
    """

    name: str
    kind: str
    section: str
    state: str
    read: Counter | None
    write: Counter | None
    checksum: Counter | None
    note: str
    evidence: Evidence
    children: tuple[Vdev, ...] = ()

    def family(self) -> Iterator[Vdev]:
        """Itself and everything below it, as in the table."""
        yield self
        for child in self.children:
            yield from child.family()

    @property
    def is_leaf(self) -> bool:
        return not self.children

    @property
    def is_broken(self) -> bool:
        return self.state not in ("ONLINE", "AVAIL", "INUSE")

    @property
    def is_small_blocked(self) -> bool:
        """Whether it writes in smaller blocks than the disk does."""
        return self.note.startswith("block size: ")

    @property
    def is_redundant(self) -> bool:
        return self.kind == "mirror" or self.kind in PARITY

    def holds_data(self, copying: bool) -> bool:
        """Whether all is on it that should be; where another disk stands in, only when nothing is being copied."""
        if self.kind in ("spare", "replacing"):
            return not copying and any(child.state == "ONLINE" for child in self.children)
        return self.state == "ONLINE"

    def spare_losses(self, copying: bool) -> int:
        """How many more of its disks it can lose; `copying` while a resilver runs."""
        lost = sum(not child.holds_data(copying) for child in self.children)
        can_lose = len(self.children) - 1 if self.kind == "mirror" else PARITY.get(self.kind, 0)
        return max(can_lose - lost, 0)

    @property
    def errors(self) -> dict[str, Counter]:
        """The counters that are not 0, by their heading."""
        counters = {"READ": self.read, "WRITE": self.write, "CKSUM": self.checksum}
        return {name: counter for name, counter in counters.items() if counter is not None and counter.count}


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time: seconds since 1970, or, where only a local time without a zone was printed, that time's reading.

    `wall_seconds` is what the local clock showed, counted as if it were UTC: good for comparing with the same clock.
    """

    text: str
    epoch_seconds: int | None = None
    wall_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """What `date` said on the same host."""

    epoch_seconds: int
    wall_seconds: int
    evidence: Evidence

    def days_since(self, moment: Moment | None) -> float | None:
        """None where there is no date, or one that lies ahead by more than a change of summer time."""
        if moment is None:
            return None
        if moment.epoch_seconds is not None:
            seconds = self.epoch_seconds - moment.epoch_seconds
        elif moment.wall_seconds is not None:
            seconds = self.wall_seconds - moment.wall_seconds
        else:
            return None
        return max(seconds, 0) / 86_400 if seconds > -7200 else None


@dataclass(frozen=True, slots=True)
class Scan:
    """A scrub or a resilver.

    `kind` is scrub, resilver, error-scrub (2.2 and later: damaged blocks only) or "" where none was asked for; `state`
    is none, running, paused, finished or canceled. `moment` is its end, or its start while it runs.
    """

    kind: str
    state: str
    text: str
    evidence: Evidence
    moment: Moment | None = None
    repaired_bytes: int | None = None
    repaired: str = ""
    seconds: int | None = None
    errors: int | None = None
    done_percent: float | None = None
    to_go: str = ""


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool as `zpool status` tells it; `tops` are its top-level vdevs, each with its section.

    `error_count` is None where the pool cannot say. `whole` is whether every part that a pool has could be read.
    """

    name: str
    state: str
    status: str
    action: str
    scans: tuple[Scan, ...]
    root: Vdev | None
    tops: tuple[Vdev, ...]
    error_count: int | None
    files: tuple[str, ...]
    evidence: Evidence
    error_evidence: tuple[Evidence, ...]
    whole: bool

    def vdevs(self, *sections: str) -> Iterator[Vdev]:
        """Every vdev of these sections, or of all; the root's own line is not among them."""
        for top in self.tops:
            if not sections or top.section in sections:
                yield from top.family()

    def scan(self, *kinds: str) -> Scan | None:
        return next((scan for scan in self.scans if scan.kind in kinds), None)

    @property
    def is_dead(self) -> bool:
        return self.state in ("FAULTED", "UNAVAIL", "SUSPENDED", "REMOVED")

    @property
    def lacks_features(self) -> bool:
        text = " ".join(self.status.split())
        return "features are not enabled" in text or "legacy on-disk format" in text


@dataclass(frozen=True, slots=True)
class Foreign:
    """A pool that `zpool import` found on the disks and that is not in use here."""

    name: str
    id: str
    state: str
    status: str
    broken: tuple[str, ...]
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Room:
    """A pool's line of `zpool list`: raw bytes, parity and copies included."""

    pool: str
    size_bytes: int | None
    allocated_bytes: int | None
    free_bytes: int | None
    capacity_percent: float | None
    fragmentation_percent: float | None
    health: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Dataset:
    """A file system or volume of `zfs list`: what can be used, parity and copies left out."""

    name: str
    type: str
    used_bytes: int | None
    available_bytes: int | None
    evidence: Evidence

    @property
    def pool(self) -> str:
        return self.name.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Setting:
    """A property that somebody set on a dataset."""

    dataset: str
    property: str
    value: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Arc:
    """The read cache: its sizes, and what changed between two readings; None where there was only one."""

    size_bytes: int | None
    target_bytes: int | None
    most_bytes: int | None
    l2_bytes: int
    l2_header_bytes: int
    seconds: float | None
    hits: int | None
    accesses: int | None
    throttled: int | None
    evidence: tuple[Evidence, ...]

    @property
    def hit_percent(self) -> float | None:
        return 100 * self.hits / self.accesses if self.hits is not None and self.accesses else None


@dataclass(frozen=True, slots=True)
class Zil:
    """The intent log's work since the module was loaded: commits, and where the blocks went."""

    commits: int
    to_slog: int
    to_slog_bytes: int
    to_pool: int
    to_pool_bytes: int
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Limits:
    """The parameters to judge by."""

    capacity_warning_percent: float
    capacity_critical_percent: float
    fragmentation_percent: float
    scrub_warning_days: float
    scrub_critical_days: float
    arc_hit_percent: float
    arc_accesses: float


@dataclass(frozen=True, slots=True)
class ZfsFacts:
    """All of it.

    `presence` is pools, none (asked, and there are none), no-module, no-daemon (zfs-fuse is not running), sealed
    (zfs-fuse runs, and a confined step may not ask it) or unknown. `answered` names the questions (status, list) that
    gave a whole answer, `hung` the commands that did not end in time.
    """

    presence: str
    version: str
    pools: tuple[Pool, ...]
    foreign: tuple[Foreign, ...]
    rooms: tuple[Room, ...]
    datasets: tuple[Dataset, ...]
    settings: tuple[Setting, ...]
    suspended: dict[str, Evidence]
    arc: Arc | None
    zil: Zil | None
    clock: Clock | None
    unread: tuple[Unread, ...]
    answered: tuple[str, ...]
    hung: tuple[str, ...]
    presence_evidence: tuple[Evidence, ...]
    limits: Limits

    def room(self, pool: str) -> Room | None:
        return next((room for room in self.rooms if room.pool == pool), None)
