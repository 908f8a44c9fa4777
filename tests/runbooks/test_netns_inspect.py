"""What the samples do not say: broken output never becomes a wrong verdict, and what was not seen is never well."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from runbook.archive import Recording
from runbook.catalog import find
from runbook.model import Capture, Ending, Run, Runbook, Source, Verdict
from runbook.pipeline import replay
from tests.base import rounds
from tests.recordings import broken, samples_of

ROUNDS = rounds(1_000, 10_000)
Line = dict[str, Any]


@cache
def the_runbook() -> Runbook:
    return find("netns-inspect", "/").load()


@cache
def samples() -> dict[str, tuple[Recording, dict[str, Verdict]]]:
    return samples_of(the_runbook())


def judged(captures: tuple[Capture, ...], name: str, **parameters: str) -> Run:
    recorded, _ = samples()[name]
    values = {**recorded.parameters, **parameters}
    return replay(the_runbook(), captures, values, recorded.host, Source("sample", name))


def changed(name: str, change: Callable[[list[Line]], object], **parameters: str) -> Run:
    """The sample with every step's lines changed in place."""

    def one(capture: Capture) -> Capture:
        if not capture.stdout:
            return capture
        lines = [json.loads(line) for line in capture.stdout.splitlines()]
        change(lines)
        return replace(capture, stdout="".join(json.dumps(line) + "\n" for line in lines).encode())

    return judged(tuple(map(one, samples()[name][0].captures)), name, **parameters)


def codes(run: Run) -> dict[str, Verdict]:
    return {finding.code: finding.verdict for finding in run.findings}


def test_broken_output_is_never_a_traceback_nor_a_wrong_ok() -> None:
    source = random.Random(2026)
    names = sorted(samples())
    # Found out by a single figure or letter, which a turned bit can make a harmless one.
    lone = {"bgp-down", "address-duplicate", "unreadable", "not-permitted"}
    for _ in range(ROUNDS):
        name = source.choice(names)
        recorded, expected = samples()[name]
        captures = tuple(
            replace(capture, stdout=broken(capture.stdout, source)) if capture.stdout else capture
            for capture in recorded.captures
        )
        run = judged(captures, name)
        assert run.findings, name
        for finding in run.findings:
            assert "Traceback" not in finding.explanation, (name, finding)
            assert ".py:" not in finding.summary, (name, finding)
        if max(expected.values()) > Verdict.OK and run.verdict is Verdict.OK:
            assert {code for code in expected if expected[code] > Verdict.OK} <= lone, (name, run.findings)


@pytest.mark.parametrize("name", ["two-vrfs", "peer-down", "l3mdev-vrf", "odd-names", "only-default"])
def test_an_answer_that_is_cut_short_is_never_well(name: str) -> None:
    recorded, _ = samples()[name]
    for capture in recorded.captures:
        lines = capture.stdout.splitlines(keepends=True)
        if capture.step != "all":
            continue
        for count in range(len(lines)):
            cut = tuple(
                replace(other, stdout=b"".join(lines[:count])) if other.step == "all" else other
                for other in recorded.captures
            )
            assert codes(judged(cut, name)).keys().isdisjoint({"healthy", "only-default"}), count


def test_each_odd_name_is_one_namespace() -> None:
    run = judged(samples()["odd-names"][0].captures, "odd-names")
    roots = [line for line in run.drawing.splitlines() if " namespace " in line]
    assert len(roots) == 7
    for name in ("plain (id: 7)", "plain ", "'two\\nlines'", "'with spaces'", "café", "-dash"):
        assert sum(line.startswith(name) for line in roots) >= 1, name
    assert all(line.count("namespace") == 1 for line in roots)


def test_the_map_tells_where_the_other_end_is() -> None:
    drawing = judged(samples()["two-vrfs"][0].captures, "two-vrfs").drawing
    assert "⇄ p1 in ns-peer" in drawing
    assert "⇄ et1 in ns-VRF1" in drawing


def test_two_ends_that_have_the_same_index_are_not_mixed_up() -> None:
    # et1 and p1 are both link 2, and so are et2 and another: only the number of the namespace tells them apart.
    def forget(lines: list[Line]) -> None:
        for line in lines:
            if line["ask"] == "ids":
                line["ids"] = {}

    run = changed("two-vrfs", forget)
    assert "⇄ ? not seen" in run.drawing
    assert "⇄ p1" not in run.drawing


def _links(lines: list[Line]) -> list[Line]:
    return [link for line in lines if line["ask"] == "links" for link in line["links"]]


def _sockets(lines: list[Line]) -> list[Line]:
    return [socket for line in lines if line["ask"] == "sockets" for socket in line["sockets"]]


def test_a_pair_of_which_both_ends_are_down_is_no_fault_and_is_not_said_to_be_up() -> None:
    def lower(lines: list[Line]) -> None:
        for link in _links(lines):
            link["up"] = link["up"] and link["carrier"]

    found = codes(changed("peer-down", lower))
    assert "peer-down" not in found
    assert found["pair-down"] is Verdict.OK
    run = judged(samples()["pair-down"][0].captures, "pair-down")
    words = {finding.code: f"{finding.summary} {finding.explanation}" for finding in run.findings}
    assert "r1: a1 and r2: a2" in words["pair-down"]
    assert "both ends up" not in words["healthy"]
    assert "! down" not in run.drawing


def test_a_link_that_is_down_and_whose_other_end_was_not_seen_is_told_so() -> None:
    def forget(lines: list[Line]) -> None:
        for line in lines:
            if line["ask"] == "ids":
                line["ids"] = {}

    (finding,) = [one for one in changed("pair-down", forget).findings if one.code == "pair-down"]
    assert "r1: a1 (its other end was not seen)" in finding.summary


def test_a_pair_whose_other_end_is_gone_is_told() -> None:
    def forget(lines: list[Line]) -> None:
        for link in _links(lines):
            link.pop("other_index", None)

    (finding,) = [finding for finding in changed("peer-down", forget).findings if finding.code == "peer-down"]
    assert finding.summary.endswith("its other end is gone")


@pytest.mark.parametrize(("state", "down"), [("TIME-WAIT", False), ("SYN-SENT", True), ("CLOSE-WAIT", True)])
def test_a_session_that_was_just_ended_is_no_fault(state: str, down: bool) -> None:
    def become(lines: list[Line]) -> None:
        for socket in _sockets(lines):
            socket["state"] = socket["state"].replace("SYN-SENT", state)

    assert ("bgp-down" in codes(changed("peer-down", become))) is down


def test_another_try_beside_an_established_session_is_no_fault() -> None:
    def also(lines: list[Line]) -> None:
        for line in lines:
            if line["ask"] == "sockets":
                tries = [socket for socket in line["sockets"] if socket["peer_port"] == 179]
                line["sockets"] += [{**socket, "state": "SYN-SENT", "port": 50000} for socket in tries]

    assert "bgp-down" not in codes(changed("two-vrfs", also))


def test_a_named_peer_without_a_session_is_critical_only_where_all_was_seen() -> None:
    captures = samples()["two-vrfs"][0].captures
    assert "bgp-down" not in codes(judged(captures, "two-vrfs", **{"bgp-peers": "10.0.12.2"}))
    assert codes(judged(captures, "two-vrfs", **{"bgp-peers": "10.9.9.9"}))["bgp-down"] is Verdict.CRITICAL
    captures = samples()["not-root"][0].captures
    assert codes(judged(captures, "not-root", **{"bgp-peers": "10.9.9.9"}))["bgp-down"] is Verdict.UNKNOWN


@pytest.mark.parametrize("word", ["FD00:5:0::2", "fd00:0005::0.0.0.2", "fd00:5::2"])
def test_a_peer_is_found_however_its_address_is_written(word: str) -> None:
    def six(lines: list[Line]) -> None:
        for socket in _sockets(lines):
            socket["peer"] = socket["peer"].replace("10.0.12.2", "fd00:5::2")

    assert "bgp-down" not in codes(changed("two-vrfs", six, **{"bgp-peers": word}))


def test_a_peer_of_ipv4_may_be_written_as_one_of_ipv6() -> None:
    captures = samples()["two-vrfs"][0].captures
    assert "bgp-down" not in codes(judged(captures, "two-vrfs", **{"bgp-peers": "::ffff:10.0.12.2"}))
    assert codes(judged(captures, "two-vrfs", **{"bgp-peers": "::ffff:10.0.12.9"}))["bgp-down"] is Verdict.CRITICAL


@pytest.mark.parametrize("word", ["010.0.12.2", "10.0.12", "abba", "10.0.12.2:179"])
def test_a_peer_that_is_no_address_is_refused_in_words(word: str) -> None:
    run = judged(samples()["two-vrfs"][0].captures, "two-vrfs", **{"bgp-peers": f"10.0.12.2, {word}"})
    (finding,) = [one for one in run.findings if one.code == "bgp-down"]
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.summary.startswith(f"`{word}` is no IP address")
    assert "healthy" not in codes(run)


def test_processes_that_hide_where_they_are_make_it_unknown() -> None:
    def hide(lines: list[Line]) -> None:
        lines[0]["hidden"] = 1

    run = changed("two-vrfs", hide)
    assert "healthy" not in codes(run)
    (finding,) = [one for one in run.findings if one.code == "not-permitted"]
    assert finding.verdict is Verdict.UNKNOWN
    # It had root's rights, so it must not send anybody to get them.
    assert finding.summary == (
        "Refused although this ran with root's rights; processes that do not show in which they are: 1"
    )
    assert "sudo runbook" not in finding.advice


def test_one_cause_that_many_have_is_told_once() -> None:
    def refuse(lines: list[Line]) -> None:
        inodes = [one["inode"] for one in lines[0]["found"] if one["names"]]
        if any(line.get("inode") in inodes for line in lines):
            lines[:] = [line for line in lines if line.get("inode") not in inodes]
            lines += [{"inode": inode, "ask": "enter", "error": "Operation not permitted"} for inode in inodes]

    run = changed("odd-names", refuse)
    (finding,) = [one for one in run.findings if one.code == "unreadable"]
    assert "and 2 more, enter: Operation not permitted" in finding.summary
    assert codes(run)["not-permitted"] is Verdict.UNKNOWN


def test_what_is_a_namespace_of_another_kind_is_no_lack_of_rights() -> None:
    recorded = samples()["one-refused"][0].captures
    captures = tuple(
        replace(one, stdout=one.stdout.replace(b"Operation not permitted", b"Invalid argument")) for one in recorded
    )
    run = judged(captures, "one-refused")
    assert codes(run)["unreadable"] is Verdict.UNKNOWN
    assert "not-permitted" not in codes(run)
    assert "healthy" not in codes(run)


def test_a_limit_of_the_probe_is_no_lack_of_rights() -> None:
    why = "only 1 of 7 were looked into: 90 seconds were over (--seconds)"

    def stop(lines: list[Line]) -> None:
        own = lines[0]["own"]
        if any(line.get("inode", own) != own for line in lines):
            lines[:] = [line for line in lines if line.get("inode", own) == own]
            lines.append({"ask": "rest", "error": why})

    run = changed("odd-names", stop)
    assert set(codes(run)) == {"unreadable"}
    one, two = (finding for finding in run.findings if finding.code == "unreadable")
    assert why in one.summary
    assert two.summary.startswith("1 of 7 network namespaces were looked into; too many, or not in time:")
    assert "--set namespace=NAME" in two.advice


@pytest.mark.parametrize("name", ["a\x1b[31mred", "x\ny", "back\\slash", "bad\udcff", "tab\t"])
def test_a_name_that_cannot_be_typed_is_not_typed(name: str) -> None:
    def rename(lines: list[Line]) -> None:
        for one in lines[0]["found"]:
            one["names"] = [name if known == "ns-app" else known for known in one["names"]]

    run = changed("peer-down", rename)
    (finding,) = [one for one in run.findings if one.code == "loopback-down"]
    (inode,) = [one["inode"] for one in json.loads(_told("peer-down"))["found"] if one["names"] == ["ns-app"]]
    line = finding.advice.splitlines()[-1]
    assert f'"$(stat -Lc %i "$f")" = {inode} ] && nsenter --net="$f" ip link set lo up' in line
    # And whoever hears of the session's way is told the same for tcpdump.
    (session,) = [one for one in run.findings if one.code == "bgp-down"]
    assert 'nsenter --net="$f" tcpdump -ni any tcp port 179; done' in session.advice


def _told(name: str) -> str:
    """The list of the step `all`."""
    (capture,) = [capture for capture in samples()[name][0].captures if capture.step == "all"]
    return capture.stdout.decode().splitlines()[0]


def test_a_name_with_blanks_or_quotes_can_be_typed_in_quotes() -> None:
    def rename(lines: list[Line]) -> None:
        for one in lines[0]["found"]:
            one["names"] = ["it's (id: 7)" if known == "ns-app" else known for known in one["names"]]

    (finding,) = [one for one in changed("peer-down", rename).findings if one.code == "loopback-down"]
    assert """ip -n 'it'"'"'s (id: 7)' link set lo up""" in finding.advice


def test_a_link_whose_name_cannot_be_typed_is_named_by_its_number() -> None:
    def rename(lines: list[Line]) -> None:
        for link in _links(lines):
            link["name"] = link["name"].replace("down0", "e\x1b[2Jx")

    (finding,) = [one for one in changed("peer-down", rename).findings if one.code == "peer-down"]
    assert "ip -n ns-router link set if2 up" in finding.advice


def test_a_file_that_is_no_namespace_is_told() -> None:
    def leave(lines: list[Line]) -> None:
        lines[0]["refused"] = ["left-over"]

    assert codes(changed("two-vrfs", leave))["unreadable"] is Verdict.UNKNOWN


def test_a_sandbox_without_a_name_may_have_its_loopback_down() -> None:
    def unnamed(lines: list[Line]) -> None:
        for one in lines[0]["found"]:
            if one["names"] == ["plain"]:
                one["names"], inode = [], one["inode"]
        for line in lines:
            if line.get("inode") == inode and line["ask"] == "links":
                line["links"][0] |= {"up": False, "carrier": False}

    captures = samples()["odd-names"][0].captures
    assert "loopback-down" not in codes(changed_all(captures, "odd-names", unnamed))


def changed_all(captures: tuple[Capture, ...], name: str, change: Callable[[list[Line]], object]) -> Run:
    """With only the step `all` changed: the narrower ones do not have every namespace."""
    found = []
    for capture in captures:
        lines = [json.loads(line) for line in capture.stdout.splitlines()]
        if capture.step == "all":
            change(lines)
        found.append(replace(capture, stdout="".join(json.dumps(line) + "\n" for line in lines).encode()))
    return judged(tuple(found), name)


def test_nothing_that_ran_gives_no_ok() -> None:
    captures = tuple(
        replace(capture, ending=Ending.NOT_FOUND, exit_code=None, stdout=b"")
        for capture in samples()["two-vrfs"][0].captures
    )
    assert judged(captures, "two-vrfs").verdict is Verdict.UNKNOWN


#: What an expert read from each recording (in bgp-half-open, with its ports edited):
#: the words that the result must have, and those that it must not.
EXPERT = {
    "recorded-vendor-vrf": (["BGP with 10.0.12.2: ESTAB", "ns-VRF1"], ["default via"]),
    "recorded-two-tables": (["VRF, table 10", "VRF, table 20", "e-blue", "lo-red", "default via 10.0.0.2"], ["! down"]),
    "bgp-half-open": (["SYN-SENT", "CLOSE-WAIT"], []),
    "recorded-states": (["tcp 22", "udp 514", "tcp 8080"], ["BGP"]),
}


@pytest.mark.parametrize("name", EXPERT)
def test_the_expert_reads_the_same(name: str) -> None:
    drawing = judged(samples()[name][0].captures, name).drawing
    has, has_not = EXPERT[name]
    for words in has:
        assert words in drawing, words
    for words in has_not:
        assert words not in drawing, words


def test_a_neighbour_that_does_not_answer_is_on_the_map() -> None:
    def silent(lines: list[Line]) -> None:
        for line in lines:
            if line["ask"] == "neighbours":
                line |= {"known": 3, "failed": ["10.7.0.99"]}

    assert "3 known · no answer from 10.7.0.99" in changed("only-default", silent).drawing


@pytest.mark.parametrize(
    "change",
    [{"up": 1}, {"index": True}, {"other_indey": 3}, {"addresses": [["10.0.0.1", "24", "global"]]}, {"index": -1}],
)
def test_a_field_that_is_not_what_it_should_be_makes_it_unknown(change: Line) -> None:
    def spoil(lines: list[Line]) -> None:
        for link in _links(lines):
            link |= change

    found = codes(changed("only-default", spoil))
    assert found == {"unreadable": Verdict.UNKNOWN}


def test_no_sockets_because_the_kernel_did_not_tell_is_unknown() -> None:
    def refuse(lines: list[Line]) -> None:
        for line in lines:
            if line["ask"] == "sockets":
                del line["sockets"], line["others"]
                line["error"] = "Protocol not supported"

    assert codes(changed("only-default", refuse)) == {"unreadable": Verdict.UNKNOWN}


def test_who_named_one_is_told_of_it_and_that_there_is_no_such_name() -> None:
    captures = samples()["no-such-name"][0].captures
    (finding,) = [one for one in judged(captures, "no-such-name").findings if one.code == "unreadable"]
    assert "no network namespace with the name 'nosuch'" in finding.summary
    assert finding.evidence[0].step == "one"
