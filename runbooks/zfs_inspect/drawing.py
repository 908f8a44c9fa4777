"""Draws each pool as a tree: pool, vdevs, disks, and beside each what there is to say of it; 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.formats import Branch, human_size, tree

from .facts import CACHE, DATA, DEDUP, LOGS, SPARES, SPECIAL, Foreign, Pool, Vdev, ZfsFacts

HEADINGS = {
    SPECIAL: "special (small blocks and metadata)",
    DEDUP: "dedup (tables)",
    LOGS: "logs (intent log, SLOG)",
    CACHE: "cache (L2ARC)",
    SPARES: "spares",
}
#: Devices of one vdev beyond so many are folded to those in trouble and a few more.
FOLD, FEW = 12, 3


def draw(facts: ZfsFacts) -> str:
    branches = [_pool(facts, pool) for pool in facts.pools] + [_foreign(pool) for pool in facts.foreign]
    return tree((*branches, *_memory(facts))) if branches else ""


def _pool(facts: ZfsFacts, pool: Pool) -> Branch:
    room = facts.room(pool.name)
    root = next((dataset for dataset in facts.datasets if dataset.name == pool.name), None)
    usable = ""
    if root is not None and root.used_bytes is not None and root.available_bytes is not None:
        usable = f"usable {human_size(root.used_bytes + root.available_bytes)}"
    full = f"{room.capacity_percent:g} % full" if room and room.capacity_percent is not None else ""
    state = _state(pool.state, "pool")
    size = human_size(room.size_bytes) if room else ""
    remarks = (state, f"raw {size}" if size else "", usable, full, *_damage(pool), *_scans(pool))
    children = [_vdev(top) for top in pool.tops if top.section == DATA]
    for section, heading in HEADINGS.items():
        below = tuple(_vdev(top) for top in pool.tops if top.section == section)
        children += [Branch(heading, "", (), below)] if below else []
    return Branch(pool.name, "", remarks, tuple(children))


def _state(state: str, what: str = "") -> str:
    good = state in ("ONLINE", "AVAIL", "INUSE")
    return f"{'' if good else '! '}{what} {state}".replace("  ", " ").strip()


def _damage(pool: Pool) -> Iterator[str]:
    if pool.error_count:
        yield f"! {pool.error_count} data errors"


def _scans(pool: Pool) -> Iterator[str]:
    for scan in pool.scans:
        if scan.state in ("running", "paused") and scan.done_percent is not None:
            yield f"{scan.kind} {scan.state}, {scan.done_percent:.0f} %"
        elif scan.state == "finished" and scan.errors:
            yield f"! {scan.kind}: {scan.errors} errors"


def _vdev(vdev: Vdev) -> Branch:
    counted = tuple(f"! {name} {counter}" for name, counter in vdev.errors.items())
    return Branch(vdev.name, "", (_state(vdev.state), *counted, vdev.note), _folded(vdev.children))


def _folded(children: tuple[Vdev, ...]) -> tuple[Branch, ...]:
    if len(children) <= FOLD:
        return tuple(map(_vdev, children))
    troubled = [child for child in children if any(v.state != "ONLINE" or v.errors for v in child.family())][:FOLD]
    shown = troubled + [child for child in children if child not in troubled][:FEW]
    return (*map(_vdev, shown), Branch(f"… {len(children) - len(shown)} more"))


def _foreign(pool: Foreign) -> Branch:
    state = _state(pool.state)
    return Branch(
        pool.name, "", ("not in use", state), tuple(Branch(name, "", ("! not there",)) for name in pool.broken[:6])
    )


def _memory(facts: ZfsFacts) -> Iterator[Branch]:
    """The ARC and the ZIL belong to no pool alone."""
    arc, zil = facts.arc, facts.zil
    if arc is not None and facts.pools:
        hits = f"{arc.hit_percent:.0f} % of {arc.accesses} demand reads" if arc.hit_percent is not None else ""
        l2 = (
            f"L2ARC {human_size(arc.l2_bytes)}, {human_size(arc.l2_header_bytes)} of memory for it"
            if arc.l2_bytes
            else ""
        )
        yield Branch("ARC", "", (f"{human_size(arc.size_bytes)} of at most {human_size(arc.most_bytes)}", hits, l2))
    if zil is not None and facts.pools:
        where = f"{human_size(zil.to_slog_bytes)} to the SLOG, {human_size(zil.to_pool_bytes)} to the pool's disks"
        yield Branch("ZIL", "", (f"{zil.commits} commits since the module was loaded", where))
