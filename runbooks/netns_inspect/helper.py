"""Joins what was said inside each network namespace into one map, and says which ends do not fit together.

captures ─▶ reading.parse ─▶ facts.Facts ─┬▶ judge: links, addresses, sockets; then what could not be seen
                                          └▶ drawing.draw
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from runbook.formats import unread_findings
from runbook.model import Finding, Reference, Verdict

from .check_links import address_duplicate, loopback_down, no_default_route, pair_down, peer_down
from .check_sockets import bgp_down, forwarding_differs, listen_overlap
from .drawing import draw
from .facts import Facts, Namespace
from .reading import ASKS, parse

__all__ = ["draw", "judge", "parse"]

CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    peer_down,
    bgp_down,
    loopback_down,
    address_duplicate,
    pair_down,
    no_default_route,
    listen_overlap,
    forwarding_differs,
)
NETNS = Reference("ip-netns(8)", "https://man7.org/linux/man-pages/man8/ip-netns.8.html")


def judge(facts: Facts) -> Iterator[Finding]:
    """Every trouble and every remark; that all is well only when all was seen and there is no trouble."""
    found = [finding for check in CHECKS for finding in check(facts)]
    found += unread_findings(facts.unread)
    found += _unseen(facts)
    yield from found
    if facts.entered and all(finding.verdict is Verdict.OK for finding in found) and _is_known(facts):
        yield _well(facts)


def _is_known(facts: Facts) -> bool:
    wanted = facts.entered if facts.step == "one" else facts.namespaces
    return all(one.answered >= set(ASKS) for one in wanted)


def _unseen(facts: Facts) -> Iterator[Finding]:
    """Whoever asked for one namespace wants no other; else what was not looked into is told, and is unknown."""
    if facts.refused:
        names = ", ".join(repr(name) for name in facts.refused[:5])
        yield Finding(
            "unreadable",
            Verdict.UNKNOWN,
            f"In /run/netns, but no network namespace: {names}",
            "A file whose namespace is gone, or was mounted where this process cannot see it. `ip netns` lists it and "
            "cannot enter it.",
            "See what is mounted there:\n    findmnt -t nsfs",
            references=(NETNS,),
        )
    if facts.asked_for and facts.step == "one":
        return
    left = [one for one in facts.namespaces if not one.entered]
    if facts.step == "all":
        yield from _although_root(facts, left)
        return
    if not left and not facts.hidden:
        return
    unseen = [f"not looked into: {_names(left)}"] if left else []
    if facts.hidden:
        unseen.append(f"processes that do not show in which they are: {facts.hidden}")
    yield Finding(
        "not-permitted",
        Verdict.UNKNOWN,
        f"{len(facts.entered)} of the network namespaces here could be looked into; {'; '.join(unseen)}",
        "Names in /run/netns everybody can read. To enter a namespace takes root (CAP_SYS_ADMIN and CAP_SYS_PTRACE, "
        "which root of a container may not have), and so does to see where other "
        "users' processes are; containers have namespaces without a name, which only their processes show. What is "
        "wrong in there cannot be told from here.",
        "Look into all of them, or into one by its name:\n"
        "    sudo runbook run netns-inspect\n"
        "    sudo runbook run netns-inspect --set namespace=NAME",
        facts.namespaces[0].evidence("list") if facts.namespaces else (),
        (NETNS,),
    )


def _names(spaces: list[Namespace]) -> str:
    return ", ".join(one.title for one in spaces[:8]) + (f" and {len(spaces) - 8} more" if len(spaces) > 8 else "")


def _although_root(facts: Facts, left: list[Namespace]) -> Iterator[Finding]:
    """What is missing although the step had root's rights: to say `sudo` again would help nobody."""
    beyond = [one for one in left if not one.refused]
    if beyond:
        # That the probe had to stop, and why, its own last line says (see `reading`).
        yield Finding(
            "unreadable",
            Verdict.UNKNOWN,
            f"{len(facts.entered)} of {len(facts.namespaces)} network namespaces were looked into; "
            f"too many, or not in time: {_names(beyond)}",
            "No right is missing. So many namespaces are looked into in one go, and no more; what is wrong in the "
            "others cannot be told from here.",
            "Look into one of them by its name:\n    sudo runbook run netns-inspect --set namespace=NAME",
            facts.namespaces[0].evidence("list"),
            (NETNS,),
        )
    # What else kept the probe out, such as a namespace of another kind, is told with its own reason.
    refused = [one for one in left if one.refused in ("Operation not permitted", "Permission denied")]
    if not refused and not facts.hidden:
        return
    unseen = [f"could not be entered: {_names(refused)}"] if refused else []
    if facts.hidden:
        unseen.append(f"processes that do not show in which they are: {facts.hidden}")
    yield Finding(
        "not-permitted",
        Verdict.UNKNOWN,
        f"Refused although this ran with root's rights; {'; '.join(unseen)}",
        "Root of a container is not root of its host: what belongs to another user namespace it may not look into, and "
        "a security module or a container's own rules can keep even root out of other processes. `sudo` changes "
        "nothing about that. What is wrong in there cannot be told from here.",
        "See which they are and what rules there are. If this is inside a container, run it on the host itself:\n"
        "    ls -l /proc/[0-9]*/ns/net 2>&1 >/dev/null   # the processes that are hidden\n"
        "    cat /proc/self/uid_map   # 0 0 4294967295: this is no other user namespace\n"
        "    grep -E 'Seccomp|CapEff' /proc/self/status   # Seccomp: 2: there are rules",
        facts.namespaces[0].evidence("list"),
        (NETNS,),
    )


def _well(facts: Facts) -> Finding:
    vrfs = [link.name for one in facts.entered for link in one.links if link.kind == "vrf"]
    if facts.asked_for and facts.step == "one":
        return Finding(
            "healthy",
            Verdict.OK,
            f"Nothing is wrong in {facts.entered[0].title}, the one that was asked for",
            f"The other {len(facts.namespaces) - 1} that are known here were not looked into, and so not the other "
            "ends of its pairs; of each that is up here, its carrier tells that the other end is up too.",
            evidence=facts.entered[0].evidence("links", "sockets"),
            references=(NETNS,),
        )
    if len(facts.namespaces) == 1 and not vrfs:
        return Finding(
            "only-default",
            Verdict.OK,
            f"One network namespace, and no VRF; it has {len(facts.namespaces[0].links)} links",
            "All processes share one set of links, routes and sockets, so `ip`, `ss` and `ping` show everything.",
            evidence=facts.namespaces[0].evidence("list", "links"),
            references=(NETNS,),
        )
    named = sum(bool(one.names) for one in facts.entered)
    isolated = sum(one.isolated for one in facts.entered)
    count = len(facts.entered)
    words = [
        f"{count} network namespaces were looked into, {named} with a name" if count > 1 else "One network namespace"
    ]
    words += [f"VRFs: {', '.join(vrfs[:8])}"] if vrfs else []
    words += [f"{isolated} without a name have nothing but a loopback: sandboxes"] if isolated else []
    return Finding(
        "healthy",
        Verdict.OK,
        "; ".join(words),
        "No pair of links has one end up and the other down, and nothing waits for an answer on BGP's port. "
        "Remember that `ip`, `ss` "
        "and `ping` show one namespace only: the one that you are in.",
        evidence=facts.entered[0].evidence("list"),
        references=(NETNS,),
    )
