"""lvm-inspect beyond its samples: damaged output, limits, advice that is safe to copy, and the drawing.

That each sample gives its findings is tested in tests/test_samples.py.
"""

from __future__ import annotations

import random
import re
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runbook.archive import load_samples
from runbook.helpers import Captures
from runbook.helpers.conclusions import Conclusion, conclude
from runbook.helpers.loading import load_helper
from runbook.model import Capture, Evidence, Finding, Host, Source, Verdict
from runbook.pipeline import prepare, replay
from tests.base import load

FOLDER = Path(__file__).resolve().parent.parent.parent / "runbooks" / "lvm_inspect"
RUNBOOK = load(str(FOLDER))
PLAN = prepare(RUNBOOK, {})
HELPER = load_helper(RUNBOOK)
SAMPLES = {sample.name: sample for sample in load_samples(RUNBOOK)}
#: Its 159 KB take too long to be damaged a thousand times; the other samples have all that it has.
LARGE = "many-volumes"
SMALL = [name for name in SAMPLES if name != LARGE]
WELL = [name for name in SMALL if max(SAMPLES[name].findings.values()) is Verdict.OK]
TROUBLED = [name for name in SMALL if max(SAMPLES[name].findings.values()) > Verdict.UNKNOWN]

Edit = Callable[[bytes], bytes]


def recorded(name: str) -> tuple[Capture, ...]:
    return SAMPLES[name].captures


def judged(captures: tuple[Capture, ...]) -> Conclusion:
    return conclude(PLAN, captures, HELPER)


def worst(captures: tuple[Capture, ...]) -> Verdict:
    return max(finding.verdict for finding in judged(captures).findings)


def edited(name: str, **edits: Edit) -> tuple[Capture, ...]:
    """The captures of a sample with the standard output of some steps edited; every edit must change something."""
    captures = recorded(name)
    for step, edit in edits.items():
        assert any(capture.step == step and edit(capture.stdout) != capture.stdout for capture in captures)
    return tuple(
        replace(capture, stdout=edits[capture.step](capture.stdout)) if capture.step in edits else capture
        for capture in captures
    )


def swap(old: str, new: str) -> Edit:
    return lambda data: re.sub(old.encode(), new.encode(), data)


def the(captures: tuple[Capture, ...], code: str) -> Finding:
    (finding,) = (finding for finding in judged(captures).findings if finding.code == code)
    return finding


def verdicts(captures: tuple[Capture, ...]) -> dict[str, str]:
    return {finding.code: str(finding.verdict) for finding in judged(captures).findings}


# ------------------------------------------------------------------------------------------------------ damaged output


def cut(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data))]


def drop_lines(data: bytes, dice: random.Random) -> bytes:
    lines = data.split(b"\n")
    for _ in range(dice.randint(1, 3)):
        lines.pop(dice.randrange(len(lines))) if len(lines) > 1 else None
    return b"\n".join(lines)


def shuffle_lines(data: bytes, dice: random.Random) -> bytes:
    lines = data.split(b"\n")
    dice.shuffle(lines)
    return b"\n".join(lines)


def replace_bytes(data: bytes, dice: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(dice.randint(1, 8)):
        damaged[dice.randrange(len(damaged))] = dice.choice(b'\x00\n",-09:[]{}\xff')
    return bytes(damaged)


Damage = Callable[[bytes, random.Random], bytes]
DAMAGES: tuple[Damage, ...] = (cut, drop_lines, shuffle_lines, replace_bytes)
REPORTS = {"pvs", "vgs", "lvs", "pvs-text", "vgs-text", "lvs-text"}


def damaged(name: str, damage: Damage, stream: str, times: int) -> Iterator[tuple[Capture, tuple[Capture, ...]]]:
    """A whole capture, and all captures of its sample with this one's stream damaged; the same ones in every run."""
    captures, dice = recorded(name), random.Random(name)
    for index, capture in enumerate(captures):
        for _ in range(times if getattr(capture, stream) else 0):
            broken: Any = {stream: damage(getattr(capture, stream), dice)}
            yield capture, (*captures[:index], replace(capture, **broken), *captures[index + 1 :])


def stands(evidence: Evidence, captures: tuple[Capture, ...]) -> bool:
    (capture,) = (capture for capture in captures if capture.step == evidence.step)
    text = capture.stderr if evidence.stream == "stderr" else capture.stdout
    return 1 <= evidence.first_line <= evidence.last_line <= text.count(b"\n") + 1


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", SMALL)
def test_the_helper_makes_the_most_of_damaged_output(name: str, damage: Damage) -> None:
    """It raises nothing, and what it points at is there."""
    assert HELPER is not None
    assert HELPER.draw is not None
    for _, captures in (*damaged(name, damage, "stdout", 3), *damaged(name, damage, "stderr", 3)):
        facts = HELPER.parse(Captures(captures, PLAN.parameters))
        HELPER.draw(facts)
        assert all(stands(evidence, captures) for finding in HELPER.judge(facts) for evidence in finding.evidence)


@pytest.mark.parametrize(("damage", "times"), [(cut, 30), (drop_lines, 5), (shuffle_lines, 5)])
@pytest.mark.parametrize("name", TROUBLED)
def test_trouble_is_never_called_ok_for_what_is_missing(name: str, damage: Damage, times: int) -> None:
    """Not so for single bytes, which can turn 95.00 into 15.00, nor for standard error, which has no known end."""
    assert all(worst(captures) > Verdict.OK for _, captures in damaged(name, damage, "stdout", times))


@pytest.mark.parametrize("name", WELL)
def test_a_report_that_was_cut_is_never_ok(name: str) -> None:
    for whole, captures in damaged(name, cut, "stdout", 30):
        (now,) = (capture for capture in captures if capture.step == whole.step)
        if whole.step in REPORTS and now.stdout.strip() != whole.stdout.strip():
            assert worst(captures) > Verdict.OK


@pytest.mark.parametrize("name", SAMPLES)
def test_a_run_comes_out_however_much_is_broken(name: str) -> None:
    dice = random.Random(name)
    broken = [replace(c, stdout=dice.choice(DAMAGES)(c.stdout or b"\n", dice)) for c in recorded(name)]
    assert replay(RUNBOOK, broken, {}, Host("", "", "", ""), Source("replay")).findings


def test_one_unreadable_number_hides_nothing_else() -> None:
    captures = edited("missing-disk", lsblk=swap('"size": [0-9]+', '"size": "many"'), vgs=swap("130023424|2600", "x"))
    assert verdicts(captures) == {"pv-missing": "critical", "unreadable": "unknown"}


def test_a_table_that_was_cut_inside_a_number_is_refused() -> None:
    def pool_last_and_cut(data: bytes) -> bytes:
        pool = next(line for line in data.split(b"\n") if line.startswith(b"  pool0 "))
        return data.replace(pool + b"\n", b"") + pool[: pool.index(b"82.50") + 1]

    captures = edited("lvm-2.02-text", **{"lvs-text": pool_last_and_cut})
    assert "stops in the middle of line 7" in the(captures, "unreadable").summary


@pytest.mark.parametrize(
    ("name", "edits"),
    [
        ("raid-refresh", {"lvs": swap("Rwi-a-r-r-(.*)refresh needed", r"Rwi-a-r---\1")}),
        ("cache", {"dmsetup-status": swap("1 AA 1 core", "1 AD 1 core")}),
    ],
)
def test_a_dead_leg_that_only_the_kernel_tells_of_is_found(name: str, edits: dict[str, Edit]) -> None:
    assert "legs AD" in the(edited(name, **edits), "raid-degraded").summary


def test_a_missing_pv_that_is_only_warned_of_is_found() -> None:
    captures = edited("missing-disk", pvs=swap(r',\n[^\n]*"\[unknown\]"[^\n]*', ""), vgs=swap("wz-pn-", "wz--n-"))
    assert "last seen as /dev/ubdb" in the(captures, "pv-missing").summary


def test_a_missing_pv_of_which_not_even_the_group_is_told() -> None:
    row = swap(r',\n[^\n]*"\[unknown\]"[^\n]*', "")
    captures = tuple(replace(c, stderr=swap("VG data-vg.*", "")(c.stderr)) for c in edited("missing-disk", pvs=row))
    assert verdicts(captures) == {"pv-missing": "critical"}


def test_warnings_count_on_standard_output_too() -> None:
    captures = tuple(replace(c, stdout=c.stderr + c.stdout, stderr=b"") for c in recorded("duplicate-pv"))
    assert verdicts(captures) == {"lv-health": "critical"}


# -------------------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("percent", "found"),
    [
        ("79.99", "healthy ok"),
        ("80.00", "thin-pool-data warning"),
        ("89.99", "thin-pool-data warning"),
        ("90.00", "thin-pool-data critical"),
    ],
)
def test_the_limits_of_a_thin_pool(percent: str, found: str) -> None:
    captures = edited("thin-pool-full", lvs=swap("95.00", percent))
    assert [f"{finding.code} {finding.verdict}" for finding in judged(captures).findings] == [found]


@pytest.mark.parametrize(
    ("percent", "found"),
    [("79.99", "healthy ok"), ("80.00", "snapshot-full warning"), ("100.00", "snapshot-full critical")],
)
def test_the_limits_of_a_snapshot(percent: str, found: str) -> None:
    captures = edited("snapshot-filling", lvs=swap("90.36", percent))
    assert [f"{finding.code} {finding.verdict}" for finding in judged(captures).findings] == [found]


def test_the_limits_are_parameters() -> None:
    given = {"thin-warning": 96, "thin-critical": 97}
    run = replay(RUNBOOK, recorded("thin-pool-full"), given, Host("", "", "", ""), Source("replay"))
    assert [finding.code for finding in run.findings] == ["healthy"]


def test_a_full_group_is_critical_when_a_thin_pool_needs_it() -> None:
    captures = edited("thin-pool-full", vgs=swap('"vg_free":"[0-9]+"', '"vg_free":"0"'))
    assert verdicts(captures) == {"thin-pool-data": "critical", "vg-full": "critical"}


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        (b"thin_pool_autoextend_threshold=100\n", {"thin-pool-overcommitted": "warning"}),
        (b"thin_pool_autoextend_threshold=70\n", {"healthy": "ok"}),
        (b"thin_pool_autoextend_threshold=7", {"unreadable": "unknown"}),
        (b"", {"unreadable": "unknown"}),
    ],
)
def test_whether_a_pool_grows_by_itself(settings: bytes, found: dict[str, str]) -> None:
    assert verdicts(edited("thin-pool-overcommitted", lvmconfig=lambda _: settings)) == found


@pytest.mark.parametrize(
    ("name", "edits"),
    [
        ("raid-syncing", {"lvs": swap("resync", "check"), "dmsetup-status": swap("aa", "AA")}),
        ("snapshot-filling", {"lvs": swap("swi-a-s---", "Swi-a-s---")}),
        ("exported-and-foreign", {"vgs": swap('"vg_free":"268435456B"', '"vg_free":"0B"')}),
    ],
    ids=["a scrub", "a snapshot that is being merged", "an exported group without room"],
)
def test_what_is_no_trouble(name: str, edits: dict[str, Edit]) -> None:
    assert verdicts(edited(name, **edits)) == {"healthy": "ok"}


def test_a_pool_that_is_not_monitored_does_not_grow() -> None:
    settings, monitor = swap("=100", "=70"), swap('"monitored"', '"not monitored"')
    captures = edited("thin-pool-overcommitted", lvmconfig=settings, lvs=monitor)
    assert "not monitored" in the(captures, "thin-pool-overcommitted").summary


@pytest.mark.parametrize(
    ("attr", "code", "said"),
    [
        ("-wi-so----", "lv-health", "is suspended"),
        ("-wi-do----", "lv-health", "half set up"),
        ("-wi-ao--E-", "lv-health", "failing cache"),
        ("owi-mo----", "lv-health", "could not be merged"),
        ("-wi-XX----", "unreadable", "could not ask the kernel"),
    ],
)
def test_a_letter_of_lv_attr_that_is_a_fault(attr: str, code: str, said: str) -> None:
    captures = edited("vg-full", lvs=swap("-wi-ao----", attr), vgs=swap('"vg_free":"0"', '"vg_free":"4194304"'))
    assert said in the(captures, code).summary


def test_a_mirror_below_a_pool_has_faults_of_its_own() -> None:
    captures = edited("thin-on-raid", lvs=swap("Rwi---r-p-", "Rwi-aor-m-"))
    assert the(captures, "lv-health").summary.startswith("LV data-vg/pool_tdata has copies that differ")


def quoted(captures: tuple[Capture, ...], evidence: Evidence) -> str:
    (capture,) = (capture for capture in captures if capture.step == evidence.step)
    data = capture.stderr if evidence.stream == "stderr" else capture.stdout
    return b"\n".join(data.split(b"\n")[evidence.first_line - 1 : evidence.last_line]).decode().strip()


@pytest.mark.parametrize(
    ("name", "code", "lines"),
    [
        (
            "thin-pool-full",
            "thin-pool-data",
            ['{"vg_name":"data-vg", "lv_name":"pool"', "data--vg-pool-tpool: 0 204800 "],
        ),
        ("duplicate-pv", "lv-health", ["WARNING: Not using device /dev/ubdb for PV 0"]),
        ("vg-full", "vg-full", ['{"vg_name":"data-vg", "vg_attr":"wz--n-"']),
        ("truncated-json", "unreadable", ['{"lv_name":"pool0", "vg_name":"datavg"']),
    ],
)
def test_the_evidence_is_the_line_that_says_so(name: str, code: str, lines: list[str]) -> None:
    evidence = the(recorded(name), code).evidence
    assert all(quoted(recorded(name), e).startswith(line) for e, line in zip(evidence, lines, strict=True))


# -------------------------------------------------------------------------------------------------------------- advice

READING = {"lsblk", "dmesg", "lvs", "lvmconfig", "dmsetup info", "runbook run", "runbook record"}


def commands(name: str) -> list[str]:
    lines = [line for finding in judged(recorded(name)).findings for line in finding.advice.split("\n")]
    return [line.strip() for line in lines if line.startswith("    ")]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_command_is_marked_unless_it_only_reads(name: str) -> None:
    for command in commands(name):
        words = command.split()
        reads = bool({words[0], " ".join(words[:2])} & READING) or words[0] == "sudo"
        assert command.endswith("   # changes this host") is not reads, command


def test_names_are_quoted_for_they_may_come_from_a_stranger() -> None:
    captures = edited("snapshot-filling", lvs=swap("before_upgrade", "x;reboot"))
    (line,) = (line for line in the(captures, "snapshot-full").advice.split("\n") if "lvremove" in line)
    assert shlex.split(line, comments=True) == ["lvremove", "datavg/www_x;reboot"]


def test_a_pool_is_made_larger_by_no_more_than_there_is_room_for() -> None:
    captures = edited("thin-pool-full", pvs=swap('"pv_free":"[0-9]+"', '"pv_free":"3145728"'))
    assert "    lvextend --size +3m data-vg/pool   # changes this host" in the(captures, "thin-pool-data").advice


def test_a_pool_without_room_needs_a_disk_first() -> None:
    captures = edited("thin-pool-full", pvs=swap('"pv_free":"[0-9]+"', '"pv_free":"0"'))
    advice = the(captures, "thin-pool-data").advice
    assert advice.index("vgextend data-vg /dev/NEW_DISK") < advice.index("lvextend --size")


def test_more_metadata_needs_room_twice() -> None:
    captures = edited("thin-pool-metadata", pvs=swap('"pv_free":"2142240768B"', '"pv_free":"3145728B"'))
    assert "--poolmetadatasize +1m datavg/pool0 " in the(captures, "thin-pool-metadata").advice


@pytest.mark.parametrize("failed", ['"pool", "lv_attr":"twi-aotz', '"web", "lv_attr":"Vwi-a-tz'])
def test_a_failed_pool_is_repaired_out_of_use_with_all_its_volumes(failed: str) -> None:
    captures = edited("thin-pool-overcommitted", lvs=swap(f"({failed})-", r"\1F"))
    assert [line.strip() for line in the(captures, "lv-health").advice.split("\n")[1:4]] == [
        "lvchange -an -S 'pool_lv=pool || lv_name=pool' data-vg   # changes this host",
        "lvconvert --repair data-vg/pool   # changes this host",
        "lvchange -ay -S 'pool_lv=pool || lv_name=pool' data-vg   # changes this host",
    ]


def test_a_mirror_below_a_pool_is_activated_through_the_pool() -> None:
    advice = next(f.advice for f in judged(recorded("thin-on-raid")).findings if "pool_tdata" in f.summary)
    assert "    lvchange -ay --activationmode partial data-vg/pool   # changes this host\n" in advice


def test_a_disk_that_is_back_is_counted_in_again() -> None:
    advice = the(recorded("returned-pv"), "pv-missing").advice
    assert advice.endswith("\n    vgextend --restoremissing mail-vg /dev/ubdb   # changes this host")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing-disk", "Without it the data of far, wide is incomplete."),
        ("raid-degraded", "not unlocked yet. mail can be read from copies"),
        ("thin-on-raid", "pool, web can be read from copies or parity"),
        ("disk-pulled-live", "the data of lin is incomplete. mir can be read from copies"),
    ],
)
def test_what_a_missing_disk_takes_with_it(name: str, said: str) -> None:
    assert said in the(recorded(name), "pv-missing").explanation


# ------------------------------------------------------------------------------------------------------------- drawing

LAPTOP = """\
ubda                 256 MiB  disk
├─ ubda1               8 MiB  part
├─ ubda2              24 MiB  part · ext4 · /mnt/boot 0 % used
└─ ubda3             222 MiB  part · crypto_LUKS
   └─ sda3_crypt     206 MiB  crypt · PV
      └─ laptop-vg   204 MiB  VG · 40 MiB free
         ├─ home      40 MiB  LV · ext4 · /mnt/home 0 % used
         ├─ root      48 MiB  LV · ext4 · /mnt 0 % used
         ├─ storage   64 MiB  LV · ext4
         └─ swap_1    12 MiB  LV · swap · [SWAP]"""

THIN_POOL = """\
ubdb            2 GiB  disk · PV
└─ datavg       2 GiB  VG · 1.6 GiB free
   └─ pool0   400 MiB  thin pool: data 100 %, metadata 12 %
      │                ! is out of data space
      ├─ db   500 MiB  thin LV
      └─ web  500 MiB  thin LV
ubda          435 MiB  disk · ext4 · / 75 % used"""

MISSING = """\
ubda        128 MiB  disk · PV
└─ data-vg  248 MiB  VG · 2 PVs · 24 MiB free · ! partial
   ├─ far    32 MiB  LV · on [unknown] · ! partial
   ├─ near   32 MiB  LV · on ubda · ext4 · /mnt 0 % used
   └─ wide  160 MiB  LV · on ubda, [unknown] · ! partial
[unknown]   124 MiB  ! missing PV · was /dev/ubdb
└─ data-vg           VG, drawn with its other PV
ubdb        128 MiB  disk"""

DEGRADED = """\
sda            1 GiB  disk · PV
└─ data        3 GiB  VG · 3 PVs · 1.8 GiB free · ! partial
   ├─ lin    400 MiB  LV · on [unknown] · ! partial · ext4 · /mnt/a 14 % used
   ├─ mir    300 MiB  raid1 LV · on sda, [unknown] · ! degraded · ext4
   │                  /mnt/b 7 % used
   └─ safe   200 MiB  LV · on sdc · ext4 · /mnt/c 0 % used
sdc            1 GiB  disk · PV
└─ data               VG, drawn with its other PV
[unknown]   1020 MiB  ! missing PV · was /dev/sdb
└─ data               VG, drawn with its other PV
nvme0n1      653 MiB  disk · ext4 · / 72 % used"""


@pytest.mark.parametrize(
    ("name", "drawing"),
    [
        ("laptop", LAPTOP),
        ("thin-pool-out-of-data", THIN_POOL),
        ("missing-disk", MISSING),
        ("disk-pulled-live", DEGRADED),
    ],
)
def test_the_stack_is_drawn(name: str, drawing: str) -> None:
    assert judged(recorded(name)).drawing == drawing


def test_the_copy_of_a_pv_is_drawn_as_a_disk_without_a_group() -> None:
    drawing = judged(recorded("duplicate-pv")).drawing
    assert drawing.count("datavg") == 1
    assert drawing.endswith("\nubdb       300 MiB  disk · LVM2_member")


def test_what_the_kernel_has_in_place_of_a_lost_leg_is_not_drawn() -> None:
    assert "missing_0_0" not in judged(recorded("raid-degraded")).drawing


@pytest.mark.parametrize("name", SAMPLES)
def test_the_drawing_fits_in_80_columns(name: str) -> None:
    assert max((len(line) for line in judged(recorded(name)).drawing.split("\n")), default=0) <= 80


def test_of_many_volumes_only_those_in_use_or_in_trouble_are_drawn() -> None:
    drawing = judged(edited(LARGE, lvs=swap('("lv_name":"vol150", "lv_attr":"-wi-)a', r"\1s"))).drawing
    assert "vol150" in drawing
    assert "vol077" in drawing
    assert drawing.count("\n") == 8


def test_many_volumes_are_judged_and_drawn_at_once() -> None:
    started = time.perf_counter()
    assert judged(recorded(LARGE)).drawing
    assert time.perf_counter() - started < 1
