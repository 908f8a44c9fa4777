"""How long a site takes: the same notes without a fence, with recorded fences, and with markdown-exec blocks.

    python benchmarks/site.py [--notes 200 1000] [--rounds 3]

Every site is built by `mkdocs build` in a process of its own, with the theme of mkdocs.yml; the kinds take turns,
so that a busy machine slows all of them alike. Reported are CPU seconds (user and system, children included), the least
of all rounds, and their ratio to the notes without a fence; the bound is 1.25 for recorded fences in 1000 notes. At the
end a live site is built twice, and what the second build executed is counted.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
#: What each fence shows, good and bad beside each other, in turn.
SAMPLES = ("thin-pool-full", "missing-disk", "snapshot-overflow", "raid-degraded", "vg-full", "empty")
KINDS = ("plain", "recorded", "markdown-exec")
BOUND = 1.25

CONFIGURATION = """
site_name: Benchmark
theme:
  name: material
  font: false
  features:
    [navigation.instant, navigation.tabs, navigation.indexes, navigation.path, navigation.prune, content.code.copy]
plugins:
  - search
  - tags
  - markdown-exec: {{languages: [bash]}}
  - runbook: {{execute: {mode}}}
extra: {{generator: false}}
markdown_extensions:
  [admonition, attr_list, def_list, footnotes, tables, pymdownx.details, pymdownx.highlight, pymdownx.superfences]
"""

NOTE = """---
title: Note {number}
tags: [tag{tag}]
---

# Note {number}: what lies under this file?

A note of ordinary length, with a table, code, lists and links, as a person would write one about a thing that they had
to look up twice. It says first what the question is, and then how to answer it by hand.

## The layers

| layer | what it is | shown by |
| --- | --- | --- |
| disk | a block device | `lsblk` |
| partition | a part of it | `fdisk -l` |
| volume | a part of a group | `lvs` |

```sh
lsblk -o NAME,TYPE,SIZE,FSTYPE,MOUNTPOINT
lvs -a -o name,vg_name,attr,size,data_percent
```

!!! note
    What is said here holds for release {number}.

## By hand

1. Look at the [first note](../s0/note-0.md), and at what it links to.
2. Compare the sizes; what is missing between two layers is in use by neither.
3. Write down what you found, and when.

- A list with `code` in it, and *words* that are **stressed**.
- Another line, with a [link](https://man7.org/linux/man-pages/man8/lvs.8.html).

{block}

## Good and bad

```console
$ df -h /
Filesystem      Size  Used Avail Use% Mounted on
/dev/vda1       100G   42G   58G  42% /
```

What is good has room left. What is bad has none, or says that it has and has not.

## What to do next

Read on in [another note](../s1/note-1.md), measure again, and keep what you measured.
"""


def main() -> int:
    """Measure and report; 1 when the bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notes", type=int, nargs="+", default=[200, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    held = True
    with tempfile.TemporaryDirectory() as folder:
        for count in arguments.notes:
            ratio = compare(Path(folder), count, arguments.rounds)
            held = held and (count < 1000 or ratio <= BOUND)
        again = executed_again(Path(folder) / "live")
    print(f"second build of an unchanged live site: {again} commands executed")
    print("within the bound" if held and not again else f"NOT within the bound of {BOUND} and nothing executed twice")
    return 0 if held and not again else 1


def compare(folder: Path, count: int, rounds: int) -> float:
    """Build all kinds with this many notes, in turn; gives the ratio of recorded fences to none."""
    sites = {kind: write_site(folder / f"{kind}-{count}", kind, count) for kind in KINDS}
    times = {kind: float("inf") for kind in KINDS}
    for _ in range(rounds):
        for kind, site in sites.items():
            times[kind] = min(times[kind], build(site))
    for kind in KINDS:
        print(f"{count:5} notes  {kind:14} {times[kind]:7.2f} s CPU  x {times[kind] / times['plain']:.2f}", flush=True)
    return times["recorded"] / times["plain"]


def write_site(folder: Path, kind: str, count: int) -> Path:
    """A site of this many notes in twenty sections."""
    (folder / "docs").mkdir(parents=True)
    (folder / "mkdocs.yml").write_text(CONFIGURATION.format(mode="recorded"))
    (folder / "docs/index.md").write_text("# Start\n")
    outputs = {name: output_of(folder, name) for name in ("laptop", *SAMPLES)} if kind == "markdown-exec" else {}
    for number in range(count):
        section = folder / "docs" / f"s{number % 20}"
        section.mkdir(exist_ok=True)
        pair = ("laptop", SAMPLES[number % len(SAMPLES)])
        block = {
            "plain": "",
            "recorded": f"```runbook\nname: lvm-inspect\nsamples: [{', '.join(pair)}]\n```",
            "markdown-exec": "\n\n".join(
                f'```bash exec="on" result="text"\ncat {outputs[name]}\n```' for name in pair if name in outputs
            ),
        }[kind]
        (section / f"note-{number}.md").write_text(NOTE.format(number=number, tag=number % 10, block=block))
    return folder


def output_of(folder: Path, name: str) -> Path:
    """A file with everything that the commands of a sample printed."""
    path = ROOT / "runbooks/lvm_inspect/samples" / f"{name}.yaml"
    captures = yaml.safe_load(path.read_text())["captures"]
    target = folder / f"{name}.txt"
    target.write_text("".join(str(one.get("stdout", "")) + str(one.get("stderr", "")) for one in captures))
    return target


def build(site: Path, **environment: str) -> float:
    """Build a site, and give the CPU seconds it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"],
        cwd=site,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "plugins"), **environment},
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def executed_again(site: Path) -> int:
    """Build a live site twice; how many commands the second build executed."""
    log = site / "log"
    runbook = site / "runbooks/count"
    runbook.mkdir(parents=True)
    argv = ["sh", "-c", f"echo run >> {log}; date"]
    definition = {"title": "Count", "summary": "Counts.", "section": "test", "steps": [{"id": "a", "argv": argv}]}
    (runbook / "runbook.yaml").write_text(yaml.safe_dump(definition))
    (site / "docs").mkdir()
    (site / "docs/index.md").write_text("# Live\n\n```runbook\nname: count\n```\n")
    (site / "mkdocs.yml").write_text(CONFIGURATION.format(mode="live"))
    build(site, XDG_CACHE_HOME=str(site / "cache"))
    first = len(log.read_text().splitlines())
    if not first:
        raise RuntimeError("the first build executed nothing, so the second proves nothing")
    build(site, XDG_CACHE_HOME=str(site / "cache"))
    return len(log.read_text().splitlines()) - first


if __name__ == "__main__":
    sys.exit(main())
