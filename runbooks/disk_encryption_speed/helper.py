"""Compares a disk as it is with the same disk encrypted, beside what Cloudflare measured in 2020."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from runbook.formats import Unread, complaint, look, unread_findings
from runbook.helpers import Captures, Unreadable
from runbook.model import Capture, Evidence, Finding, Reference, Verdict

CLOUDFLARE = Reference(
    "Cloudflare: Speeding up Linux disk encryption", "https://blog.cloudflare.com/speeding-up-linux-disk-encryption/"
)
WORKQUEUES = Reference(
    "Linux 5.9: dm crypt, flags to bypass the kcryptd work queues", "https://git.kernel.org/linus/39d42fa96ba1"
)
BENCHMARK = Reference("cryptsetup-benchmark(8)", "https://man7.org/linux/man-pages/man8/cryptsetup-benchmark.8.html")

#: What each of a lab's devices is.
KINDS = {"plain": "as it is", "crypt": "encrypted", "flags": "encrypted, no work queues"}
#: MB/s that Cloudflare published for a ram disk, 4 KiB at a time, reading and writing together; for one direction. Of
#: the last they gave the total only.
PUBLISHED = (
    ("as it is", 1126.0),
    ("encrypted", 147.0),
    ("encrypted, same_cpu_crypt", 136.0),
    ("encrypted, submit_from_crypt_cpus", 166.0),
    ("encrypted, with their patch (half of 640)", 320.0),
)
BAR = 30


@dataclass(frozen=True, slots=True)
class Cipher:
    """What the kernel's cipher does in memory, in MiB/s, with one processor."""

    name: str
    key_bits: int
    encrypts: float
    decrypts: float
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Facts:
    """`reads` and `writes` are MB/s by kind of device, one figure a turn. `flags` are those that the kernel shows."""

    cipher: Cipher | None = None
    no_cipher: Evidence | None = None
    reads: tuple[tuple[str, tuple[float, ...]], ...] = ()
    writes: tuple[tuple[str, tuple[float, ...]], ...] = ()
    flags: tuple[str, ...] = ()
    lines: tuple[Evidence, ...] = ()
    unread: tuple[Unread, ...] = ()


# ------------------------------------------------------------------------------------------------------------- reading


def parse(captures: Captures) -> Facts:
    """The cipher's figures, and those of a lab where there is one."""
    unread: list[Unread] = []
    cipher, no_cipher = _cipher(captures.ran("benchmark"), unread)
    turns = {}
    lines: list[Evidence] = []
    for step in ("read", "written"):
        turns[step], told = _turns(captures.ran(step), unread)
        lines += told
    return Facts(
        cipher=cipher,
        no_cipher=no_cipher,
        reads=turns["read"],
        writes=turns["written"],
        flags=_flags(captures.ran("flags")),
        lines=tuple(lines),
        unread=tuple(unread),
    )


def _cipher(capture: Capture | None, unread: list[Unread]) -> tuple[Cipher | None, Evidence | None]:
    """#     Algorithm |       Key |      Encryption |      Decryption
    aes-xts        512b      1823.1 MiB/s      1900.4 MiB/s
    """
    if capture is None:
        return None, None
    for number, line in enumerate(capture.stderr.decode("utf-8", "replace").split("\n"), start=1):
        if "kernel crypto interface not available" in line or "is not available" in line:
            return None, Evidence(capture.step, "stderr", number, number)
    pattern = re.compile(r"\s*([a-z0-9_-]+)\s+(\d+)b\s+([\d.]+) MiB/s\s+([\d.]+) MiB/s\s*")
    for number, line in enumerate(capture.stdout.decode("utf-8", "replace").split("\n"), start=1):
        if (match := pattern.fullmatch(line)) is not None and _positive(match[3]) and _positive(match[4]):
            evidence = Evidence(capture.step, "stdout", number, number)
            return Cipher(match[1], int(match[2][:6]), float(match[3]), float(match[4]), evidence), None
    reason = complaint(capture) or Unreadable("`cryptsetup benchmark` told no figures", capture.step)
    unread.append(Unread.because(reason))
    return None, None


#: `plain: 16777216 bytes (17 MB, 16 MiB) copied, 0.180221 s, 93.1 MB/s`, as GNU dd prints it.
TURN = re.compile(r"(plain|crypt|flags): (\d{1,15}) bytes .*copied, ([\d.]+(?:e-\d+)?) s, [\d.]+ [kMGT]?B/s")
#: How often each device is read, and written.
TURNS = 5


def _turns(
    capture: Capture | None, unread: list[Unread]
) -> tuple[tuple[tuple[str, tuple[float, ...]], ...], list[Evidence]]:
    """MB/s by kind, exact (dd rounds its own figure), and the lines of the median turns."""
    if capture is None:
        return (), []
    found: dict[str, list[tuple[float, int]]] = {kind: [] for kind in KINDS}
    for number, line in enumerate(capture.stdout.decode("utf-8", "replace").removesuffix("\n").split("\n"), start=1):
        match = TURN.fullmatch(line)
        if match is None or not _positive(match[3]) or int(match[2]) == 0:
            reason = f"line {number} of `{capture.step}` is no result of dd"
            unread.append(Unread(reason, Evidence(capture.step, "stdout", number, number)))
            return (), []
        found[match[1]].append((int(match[2]) / float(match[3]) / 1e6, number))
    if any(len(turns) != TURNS for turns in found.values()):
        reason = f"`{capture.step}` does not tell of {TURNS} turns for each of the three devices"
        unread.append(Unread(reason, Evidence(capture.step, "stdout", 1, 1)))
        return (), []
    middle = [sorted(turns)[len(turns) // 2][1] for turns in found.values()]
    speeds = tuple((kind, tuple(speed for speed, _ in turns)) for kind, turns in found.items())
    return speeds, [Evidence(capture.step, "stdout", number, number) for number in middle]


def _positive(word: str) -> bool:
    try:
        return 0 < float(word) < 1e12
    except ValueError:
        return False


def _flags(capture: Capture | None) -> tuple[str, ...]:
    """`flags: 0 … crypt … 2 no_read_workqueue no_write_workqueue`: what the kernel says of the third device."""
    text = capture.stdout.decode("utf-8", "replace") if capture is not None else ""
    line = next((line for line in text.split("\n") if line.startswith("flags: ")), "")
    return tuple(word for word in line.split() if word.endswith("_workqueue"))


# ------------------------------------------------------------------------------------------------------------- judging


def judge(facts: Facts) -> Iterator[Finding]:
    """What was measured, and what it can tell."""
    if facts.cipher is not None:
        yield _benchmark(facts.cipher)
    if facts.no_cipher is not None:
        yield Finding(
            "no-benchmark",
            Verdict.UNKNOWN,
            "The kernel's ciphers cannot be measured from outside here",
            "cryptsetup measures them by way of the kernel's interface for programs (AF_ALG). This kernel has none, or "
            "its module algif_skcipher is not loaded. Disks are encrypted without it all the same.",
            "Load it and measure again; containers have the kernel of their host:\n"
            "    modprobe algif_skcipher   # changes this host",
            (facts.no_cipher,),
            (BENCHMARK,),
        )
    if facts.reads and facts.writes:
        yield _measured(facts)
    yield from unread_findings(facts.unread)


def _benchmark(cipher: Cipher) -> Finding:
    slower = min(cipher.encrypts, cipher.decrypts)
    disk = 500.0
    return Finding(
        "benchmark",
        Verdict.OK,
        f"{cipher.name}, {cipher.key_bits} bits: encrypts {cipher.encrypts:.0f} MiB/s, decrypts "
        f"{cipher.decrypts:.0f} MiB/s, in memory and on one processor",
        "This is the most that encryption lets through, by one processor. What is read from a disk is decrypted after "
        f"that: of a disk that gives {disk:.0f} MiB/s by itself, {disk * slower / (disk + slower):.0f} are left if one "
        f"waits for the other, and up to {min(disk, slower):.0f} if both go on at once. What dm-crypt adds by handing "
        "requests around, this does not show.",
        "See in a lab what that is, and what the flags for speed change:\n"
        + look("runbook run disk-encryption-speed --lab three-ways"),
        (cipher.evidence,),
        (BENCHMARK, CLOUDFLARE),
    )


def _measured(facts: Facts) -> Finding:
    reads, writes = ({kind: median(turns) for kind, turns in speeds} for speeds in (facts.reads, facts.writes))
    told = [f"{name} {reads[kind]:.0f} and {writes[kind]:.0f}" for kind, name in KINDS.items()]
    spread = max(max(turns) / min(turns) for _, turns in (*facts.reads, *facts.writes))
    gains = {what: speeds["flags"] / speeds["crypt"] for what, speeds in (("reading", reads), ("writing", writes))}
    words = " and ".join(f"{what} is {gain:.2f} times as fast" for what, gain in gains.items())
    flags = " and ".join(facts.flags) or "no flag at all, says the kernel"
    return Finding(
        "measured",
        Verdict.OK,
        f"MB/s reading and writing, each by itself: {'; '.join(told)}",
        f"With {flags}, {words}. Each figure is the median of {len(facts.reads[0][1])} turns; "
        f"the turns of one device differ by up to {spread:.2f} times, and a smaller gain means nothing. The lab is "
        "User-Mode Linux: one processor, and AES in C, without the processor's own instructions for it. So it can show "
        "that a flag takes effect, and in which direction. It cannot show how fast a real disk is with it, nor what "
        "several processors gain by sharing the work.",
        "On a host with a fast disk (NVMe) and many small requests, measure your own workload with and without, and "
        "look at the latency, too. The flags can be set and taken back while the device is open:\n"
        "    cryptsetup refresh --perf-no_read_workqueue --perf-no_write_workqueue NAME   # changes this host\n"
        "    cryptsetup refresh NAME   # changes this host",
        facts.lines,
        (CLOUDFLARE, WORKQUEUES),
    )


# ------------------------------------------------------------------------------------------------------------- drawing


def draw(facts: Facts) -> str:
    """Bars of what was measured in the lab, and of what was published, each group in a scale of its own."""
    if not facts.reads or not facts.writes:
        return ""
    reads, writes = ({kind: median(turns) for kind, turns in speeds} for speeds in (facts.reads, facts.writes))
    rows = [("This lab: a ram disk in User-Mode Linux, 4 KiB at a time, MB/s", list[tuple[str, float]]())]
    for kind, name in KINDS.items():
        rows[0][1].extend(((f"{name}, read", reads[kind]), (f"{name}, written", writes[kind])))
    rows.append(("Cloudflare, 2020: a ram disk, read and written at once, MB/s for each direction", list(PUBLISHED)))
    blocks = []
    for title, bars in rows:
        widest = max(len(name) for name, _ in bars)
        top = max(speed for _, speed in bars)
        lines = [f"{name.ljust(widest)}  {_bar(speed / top)} {speed:.0f}" for name, speed in bars]
        blocks.append("\n".join((title, *lines)))
    return "\n\n".join(blocks)


def _bar(share: float) -> str:
    return "█" * max(1, round(share * BAR))
