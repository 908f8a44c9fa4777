"""Says how full the table of tracked connections is, what was dropped for it, and who fills it.

captures ─▶ parse ─▶ Facts ─▶ judge: the room, what was dropped, what fills it, and what may be worth a thought
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from runbook.formats.refusals import why_not_read
from runbook.helpers import Captures
from runbook.model import Evidence, Finding, Verdict

from .facts import Facts, NotRead, Share, Table, read

__all__ = ["judge", "parse"]

#: Entries for each bucket: the kernel makes as many buckets as entries; older ones a quarter of them.
RATIO_WARNING, RATIO_CRITICAL = 4, 8
#: So many entries at least make a share of them mean anything.
FEWEST_ENTRIES = 100
UNREPLIED_PERCENT = 50
#: The kernel's default, five days, in seconds.
ESTABLISHED_SECONDS = 432_000


def parse(captures: Captures) -> Facts:
    """All that is known; what could not be asked for is None."""
    return read(captures)


def judge(facts: Facts) -> Iterator[Finding]:
    if isinstance(facts.saved, NotRead):
        yield _not_read(facts.saved)
        return
    table = facts.saved or facts.table
    found = list(_host(facts)) if facts.asked and facts.saved is None else []
    if table is not None:
        found += [*_fill(facts, table), *_unread(table)]
    if (
        facts.saved is not None
        and not facts.saved.entries
        and not any(finding.verdict is Verdict.UNKNOWN for finding in found)
    ):
        found.append(_no_entry(facts.saved))
    yield from found
    if table is not None and all(finding.verdict is Verdict.OK and finding.code != "inactive" for finding in found):
        yield _healthy(facts, table)


def _not_read(refused: NotRead) -> Finding:
    command = f"runbook run conntrack-inspect --set table={shlex.quote(refused.name)}"
    explanation, advice = why_not_read(refused.name, refused.detail, command)
    return Finding(
        "not-read",
        Verdict.UNKNOWN,
        f"{refused.name} could not be read: {refused.detail}",
        explanation,
        advice,
        (refused.evidence,),
    )


#: How a table is saved so that it can be read here.
SAVE = "Save the table:\n    conntrack -L > FILE"


def _no_entry(table: Table) -> Finding:
    return Finding(
        "unread",
        Verdict.UNKNOWN,
        f"{table.source} has no entry",
        "Either the table was empty when it was saved, which is no sign of health, or nothing was written: conntrack "
        "was not allowed to ask, or is not there. The file looks the same.",
        SAVE,
        (table.evidence,),
    )


def _unread(table: Table) -> Iterator[Finding]:
    parts = [
        (table.unread, f"{table.unread} {'line' if table.unread == 1 else 'lines or parts'} could not be read"),
        (table.events, f"{table.events} are events, and no entries"),
        (table.broken, f"it could not be read to its end: {table.broken}"),
    ]
    if not any(holds for holds, _ in parts):
        return
    events = (
        "Events are what `conntrack -E` prints as it happens: one connection has several, and those that were there "
        "before have none. They say nothing about how full the table is. "
        if table.events
        else ""
    )
    yield Finding(
        "unread",
        Verdict.UNKNOWN,
        f"Of {table.source}, " + "; ".join(words for holds, words in parts if holds),
        f"{events}What is said here is said of the {table.entries} entries that could be read.",
        SAVE,
        (table.evidence,),
    )


def _host(facts: Facts) -> Iterator[Finding]:
    if not facts.count:
        yield _inactive(facts)
    yield from _usage(facts)
    yield from _dropped(facts)
    yield from _buckets(facts)
    if facts.count and (facts.limits.established_seconds or 0) >= ESTABLISHED_SECONDS:
        yield _established(facts)


def _inactive(facts: Facts) -> Finding:
    loaded = facts.count is not None
    return Finding(
        "inactive",
        Verdict.OK,
        "Connection tracking has no entry here" if loaded else "Connection tracking is not loaded",
        "That is no sign of health, nor of no traffic: the kernel tracks a connection only where a rule of this "
        "network namespace asks for it (`-m conntrack`, `ct state`, NAT). Without one, packets pass untracked."
        + (
            ""
            if loaded
            else " Nor has it been loaded now: `conntrack -L` would have done that, and have shown an empty table."
        ),
        "See whether a rule asks:\n    nft list ruleset | grep -nE 'ct |nat|masquerade'\n"
        "Containers have tables of their own. Look at one from inside:\n"
        "    ip netns exec NAME runbook run conntrack-inspect",
        facts.evidence,
    )


def _usage(facts: Facts) -> Iterator[Finding]:
    if not facts.count or not facts.limits.most:
        return
    percent = 100 * facts.count / facts.limits.most
    critical = percent >= facts.critical_percent
    if percent < facts.warning_percent and not critical:
        return
    limit = facts.critical_percent if critical else facts.warning_percent
    yield Finding(
        "table-usage",
        Verdict.CRITICAL if critical else Verdict.WARNING,
        f"{facts.count} of {facts.limits.most} entries are in use, {percent:.1f} % (limit: {limit:g} %)",
        "When it is full, the kernel first throws out a connection without an answer, if it finds one near by. If it "
        "finds none, it drops the packet. That happens before any rule of `filter` is asked, and before SYN cookies "
        "could help. Connections that are in the table go on; whoever comes new waits in vain.",
        "For the moment, a larger limit (an entry takes 256 bytes or a little more); for good, a look at what fills "
        "the table, below:\n"
        f"    sysctl -w net.netfilter.nf_conntrack_max={2 * facts.limits.most}   # changes this host, until it "
        "restarts\n"
        "The limit is the machine's, and can be set in its first network namespace only; each namespace is counted by "
        "itself.",
        (*facts.evidence, *_place(facts, "max")),
    )


def _dropped(facts: Facts) -> Iterator[Finding]:
    drop, early, failed = (facts.counters.get(name) for name in ("drop", "early_drop", "insert_failed"))
    full = (
        facts.count is not None
        and facts.limits.most
        and facts.count >= min(facts.warning_percent, facts.critical_percent) / 100 * facts.limits.most
    )
    if drop is not None and drop.total:
        yield Finding(
            "drops",
            Verdict.CRITICAL if full or drop.fresh else Verdict.WARNING,
            f"{drop.total} packets dropped for want of an entry since this namespace began, {drop.fresh} of them just "
            "now",
            "Each is a packet of a new connection that nobody answered: its program waits until it sends it again. "
            + (
                "The table is full, so it goes on."
                if full or drop.fresh
                else "The table has room now: it was full some time before."
            ),
            "See it grow, in hexadecimal:\n    watch -d cat /proc/net/stat/nf_conntrack",
            (drop.evidence,),
        )
    if early is not None and early.total:
        yield Finding(
            "early-drops",
            Verdict.WARNING,
            f"{early.total} connections thrown out early since this namespace began, {early.fresh} of them just now",
            "The table was full, and these were the ones without an answer, or not yet assured. So a flood of SYNs "
            "pushes out first what is not finished, and the service still answers. It is the last reserve before "
            "packets are dropped.",
            "Find out who fills it:\n    conntrack -L -u UNREPLIED 2>/dev/null | grep -o 'src=[^ ]*' | sort | uniq -c "
            "| sort -rn | head",
            (early.evidence,),
        )
    if failed is not None and failed.total:
        yield Finding(
            "insert-failed",
            Verdict.WARNING,
            f"{failed.total} connections could not be entered, {failed.fresh} of them just now: another one had the "
            "same place",
            "Two packets of one connection raced, or source NAT gave two connections the same port. The packet is "
            "dropped. Two DNS queries from one socket behind NAT are the usual victims: the resolver asks again after "
            "five seconds.",
            "Where it is NAT, give it the whole range of ports at random:\n"
            "    iptables -t nat … -j MASQUERADE --random-fully",
            (failed.evidence,),
        )
    if facts.full_log:
        yield Finding(
            "table-full-log",
            Verdict.CRITICAL if full else Verdict.WARNING,
            f"The kernel's log says {len(facts.full_log)} times that the table was full",
            "The kernel writes at most a few of these lines every five seconds, so the number says nothing about how "
            "many packets were dropped. The log is the machine's: an older kernel does not say in which network "
            "namespace it was.",
            "When was it?\n    dmesg -T | grep 'table full'",
            facts.full_log[:3],
        )


def _buckets(facts: Facts) -> Iterator[Finding]:
    most, buckets = facts.limits.most, facts.limits.buckets
    if not most or not buckets or most / buckets <= RATIO_WARNING:
        return
    ratio = most / buckets
    yield Finding(
        "bucket-ratio",
        Verdict.CRITICAL if ratio > RATIO_CRITICAL else Verdict.WARNING,
        f"{most} entries may lie in {buckets} buckets, {ratio:.1f} in each (limit: {RATIO_WARNING})",
        "A packet finds its connection by a hash, and searches the chain of that bucket. Each connection is in the "
        "table twice, once for each direction, so a full table has chains of twice that length. Somebody raised the "
        "limit and not the buckets.",
        "Make as many buckets as entries (8 bytes each):\n"
        f"    echo {most} > /sys/module/nf_conntrack/parameters/hashsize   # changes this host, until it restarts",
        (*_place(facts, "max"), *_place(facts, "buckets")),
    )


def _established(facts: Facts) -> Finding:
    days = (facts.limits.established_seconds or 0) / 86_400
    return Finding(
        "timeout-established",
        Verdict.OK,
        f"An established TCP connection stays in the table for {days:g} days after its last packet",
        "That is the kernel's default. On a host that is asked by few it costs nothing. On a box that does NAT for "
        "many, connections whose ends have vanished pile up for days. What is shorter than a program's keep-alive "
        "(two hours by default) cuts connections that are only silent.",
        "On a NAT box, after a look at the programs' keep-alive:\n"
        "    sysctl -w net.netfilter.nf_conntrack_tcp_timeout_established=86400   # changes this host, until it "
        "restarts",
        _place(facts, "tcp_timeout_established"),
    )


def _fill(facts: Facts, table: Table) -> Iterator[Finding]:
    if table.entries < FEWEST_ENTRIES:
        return
    percent = 100 * table.unreplied / table.entries
    if percent > UNREPLIED_PERCENT:
        yield Finding(
            "unreplied-share",
            Verdict.WARNING,
            f"{table.unreplied} of {table.entries} connections ({percent:.0f} %) have no answer (limit: "
            f"{UNREPLIED_PERCENT} %)",
            f"Most are {_named(table.states, 2)}, from {_named(table.sources, 2)}, to {_named(table.targets, 2)}. One "
            "source and many targets is a scan; many sources and one target a flood; and when the answers take "
            "another way than the questions, every connection looks like that here.",
            "See some of them:\n    conntrack -L -u UNREPLIED 2>/dev/null | head",
            (table.evidence, *(share.evidence for share in table.states[:2])),
        )
    for kind, shares in (("from", table.sources), ("to", table.targets)):
        top = shares[0] if shares else None
        # To one address is how every server looks.
        if top is None or kind == "to" or 100 * top.count / table.entries <= facts.top_percent:
            continue
        yield Finding(
            "top-talker",
            Verdict.WARNING,
            f"{top.count} of {table.entries} entries ({100 * top.count / table.entries:.0f} %) are {kind} {top.name} "
            f"(limit: {facts.top_percent:g} %)",
            f"They go to {_named(table.targets, 3)}. Behind a proxy or a NAT that is to be expected; of a single "
            "client it is not.",
            f"Look at what it does:\n    conntrack -L -s {shlex.quote(top.name)} 2>/dev/null | head",
            (top.evidence,),
        )


def _healthy(facts: Facts, table: Table) -> Finding:
    room = ""
    if facts.saved is None and facts.count is not None and facts.limits.most:
        room = f" of {facts.limits.most} ({100 * facts.count / facts.limits.most:.1f} %)"
    log = "" if facts.log_known or facts.saved is not None else " The kernel's log could not be read."
    return Finding(
        "healthy",
        Verdict.OK,
        f"{table.entries} entries{room}, {table.unreplied} of them without an answer",
        f"Most are {_named(table.states, 3)}.{log}" if table.entries else f"The table is empty.{log}",
        evidence=(table.evidence,),
    )


def _named(shares: tuple[Share, ...], count: int) -> str:
    return ", ".join(f"{share.name} ({share.count})" for share in shares[:count]) or "nobody"


def _place(facts: Facts, name: str) -> tuple[Evidence, ...]:
    place = facts.limits.evidence.get(name)
    return (place,) if place is not None else ()
