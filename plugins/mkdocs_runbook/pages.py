"""The pages that are made from the runbooks themselves, as Markdown, and the verdict wall."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from mkdocs_runbook.freshness import freshness
from mkdocs_runbook.shelf import Shelf, label, usual_cases
from runbook.errors import ParameterError
from runbook.model import Effect, Reference, Runbook, Sample, Step, Verdict
from runbook.renderers.html import tags
from runbook.renderers.markdown import fenced, inline
from runbook.renderers.markup import badge, slug, text
from runbook.renderers.plain import URL, needed

#: Titles of sections that are not the word with a capital letter.
SECTIONS = {"cpu": "CPU"}


def section_title(section: str) -> str:
    return SECTIONS.get(section, section.replace("-", " ").capitalize())


def by_section(runbooks: Iterable[Runbook]) -> Iterator[tuple[str, list[Runbook]]]:
    """The runbooks of each section, both in alphabetical order."""
    ordered = sorted(runbooks, key=lambda one: (one.section, one.name))
    for section, members in groupby(ordered, lambda one: one.section):
        yield section, list(members)


def wall(shelf: Shelf, link: str) -> str:
    """Every runbook by section with the verdict of this host, or with those of its recordings; HTML.

    `link` is where a runbook's page lies, with NAME for its name; empty when there are none.
    """
    parts = ['<div class="rb-wall">\n']
    for section, runbooks in by_section(shelf.own):
        parts.append(f'<p class="rb-section">{text(section_title(section))}</p>\n<ul>\n')
        for runbook in runbooks:
            address = link.replace("NAME", runbook.name)
            title = f'<a href="{text(address)}">{text(runbook.title)}</a>' if link else text(runbook.title)
            parts.append(f'<li class="rb-brick"><span>{title}</span> {_bricks(shelf, runbook, address)}</li>\n')
        parts.append("</ul>\n")
    return "".join([*parts, "</div>"])


def _bricks(shelf: Shelf, runbook: Runbook, address: str) -> str:
    """The verdict here where there is one, else those that its usual recordings must have (tests hold them to it)."""
    try:
        live = shelf.live_run(runbook)
    except ParameterError:
        live = None  # It has to be told something first, and nobody is there to tell it.
    if live is not None:
        return f'<span class="rb-kind">Live</span> {badge(live.verdict)}'
    bricks = ['<span class="rb-kind">Recorded</span>']
    for case in usual_cases(runbook, shelf.cases(runbook)):
        verdict = worst(shelf.sample(runbook, case))
        bricks.append(f'<span class="rb-case">{badge(verdict)} <span>{text(label(case))}</span></span>')
    return " ".join(bricks)


def worst(sample: Sample) -> Verdict:
    """The verdict that a sample must give."""
    return max(sample.findings.values(), default=Verdict.UNKNOWN)


def runbook_page(shelf: Shelf, runbook: Runbook, notes: Sequence[tuple[str, str]]) -> str:
    """What a runbook runs, needs and concludes; `notes` are the title and the address of those that show it."""
    samples = {case: shelf.sample(runbook, case) for case in shelf.cases(runbook)}
    chosen = cover(runbook, samples)
    return "\n".join(
        [
            *_front(runbook.title, runbook.summary, [runbook.section, "runbook"]),
            inline(runbook.summary),
            "",
            *(f"The note: [{inline(title)}]({address})." for title, address in notes),
            "",
            inline(freshness(runbook)),
            "",
            *fenced(f"runbook run {runbook.name}", "sh"),
            "",
            *_parameters(runbook),
            *_conclusions(runbook, chosen),
            *_recordings(runbook, list(dict.fromkeys(chosen.values()))),
            *_steps(runbook.steps),
            *_lab_lines(runbook),
            *_references(runbook.references),
        ]
    )


def cover(runbook: Runbook, samples: Mapping[str, Sample]) -> dict[str, str]:
    """For each code a sample that raises it: of a lab where there is one, with few other codes, and few in all."""
    labs = {lab.id for lab in runbook.labs}
    chosen: dict[str, str] = {}
    for code, _ in runbook.findings:
        raising = [case for case, sample in samples.items() if code in sample.findings]
        if raising:
            taken = set(chosen.values())
            chosen[code] = min(
                raising, key=lambda case: (case not in labs, len(samples[case].findings), case not in taken, case)
            )
    return chosen


def _front(title: str, description: str, tags: Sequence[str]) -> list[str]:
    """Front matter in which nothing needs to be escaped but quotes and backslashes, and the heading."""
    quoted = {key: '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for key, value in
              (("title", title), ("description", description))}  # fmt: skip
    lines = [f"{key}: {value}" for key, value in quoted.items()]
    return ["---", *lines, f"tags: [{', '.join(tags)}]", "---", "", f"# {inline(title)}", ""]


def _parameters(runbook: Runbook) -> Iterator[str]:
    yield from ("## What it can be told", "")
    yield from parameters(runbook) if runbook.parameters else ("Nothing: it has no parameters.",)
    yield ""


def parameters(runbook: Runbook) -> Iterator[str]:
    """The parameters as a Markdown table."""
    yield "| `--set` | what it is | usually |\n| --- | --- | --- |"
    for parameter in runbook.parameters:
        usual = "" if parameter.default is None else inline(str(parameter.default))
        yield f"| `{parameter.name}` | {inline(parameter.help)} | {usual} |"


def _conclusions(runbook: Runbook, chosen: Mapping[str, str]) -> Iterator[str]:
    yield from ("## What it concludes", "", "| code | it means | seen in |", "| --- | --- | --- |")
    for code, meaning in runbook.findings:
        case = chosen.get(code, "")
        place = f"#rb-{slug(runbook.name)}--{slug(case)}--{slug(code)}"
        # Not as a Markdown link: MkDocs does not see what is in a fence, and would say that there is no such place.
        seen = f'<a href="{place}">{inline(label(case))}</a>' if case else ""
        yield f"| `{code}` | {inline(meaning)} | {seen} |"
    yield ""


def _recordings(runbook: Runbook, cases: Sequence[str]) -> Iterator[str]:
    if cases:
        yield from ("## What it looks like", "", "```runbook", f"name: {runbook.name}", "execute: recorded", "samples:")
        yield from (f"  - {case}" for case in cases)
        yield from ("```", "")


def _steps(steps: Sequence[Step]) -> Iterator[str]:
    yield from ("## What it runs", "")
    for step in steps:
        needs = ["**changes the host, asks first**" if step.effect is Effect.CHANGE else "reads only", *needed(step)]
        yield from (f"**`{step.id}`**: {inline(step.title)} ({', '.join(needs)}, at most {step.timeout:g} s)", "")
        yield from (*fenced(shlex.join(step.argv), "sh"), "")


def _lab_lines(runbook: Runbook) -> Iterator[str]:
    if runbook.labs:
        yield from ("## Where to try it", "")
        yield from _lab_table(runbook)
        yield ""


def _lab_table(runbook: Runbook) -> Iterator[str]:
    yield "| lab | what it is | must find |\n| --- | --- | --- |"
    for lab in runbook.labs:
        expected = ", ".join(f"`{code}` {verdict}" for code, verdict in lab.expect)
        yield f"| `runbook run {runbook.name} --lab {lab.id}` | {inline(lab.title)} ({lab.kind}) | {expected} |"


def _references(references: Sequence[Reference]) -> Iterator[str]:
    if references:
        yield from ("## Where to read on", "")
        for one in references:
            yield f"- [{inline(one.title)}](<{one.url}>)" if URL.fullmatch(one.url) else f"- {inline(one.title)}"


def index_page(runbooks: Sequence[Runbook]) -> str:
    """All runbooks by section."""
    description = "Every runbook by section: what it looks at and what it can conclude."
    lines = _front("Runbooks", description, ["runbook"])
    for section, members in by_section(runbooks):
        lines += [f"## {inline(section_title(section))}", "", "| runbook | what it does | |", "| --- | --- | --- |"]
        for one in members:
            words = ", ".join(word for word in tags(one) if word != one.section)
            lines.append(f"| [`{one.name}`]({one.name}.md) | {inline(one.summary)} | {words} |")
        lines.append("")
    return "\n".join(lines)


def symptoms_page(runbooks: Sequence[Runbook]) -> str:
    """What people say who need a runbook, and what it may turn out to be."""
    description = "What you see, what it may be, and the command that tells."
    lines = _front("What do you see?", description, ["symptom"])
    lines += [
        "Find your sentence. Each finding says what it means; the command looks at your host and changes nothing.",
        "",
    ]
    for section, members in by_section(one for one in runbooks if one.symptoms):
        lines += [f"## {inline(section_title(section))}", ""]
        lines += ["| you say | it may be | ask |", "| --- | --- | --- |"]
        for one in members:
            for symptom in one.symptoms:
                codes = ", ".join(f"[`{code}`](runbooks/{one.name}.md#what-it-concludes)" for code in symptom.means)
                lines.append(f"| {inline(symptom.says)} | {codes} | `runbook run {one.name}` |")
        lines.append("")
    return "\n".join(lines)


def labs_page(runbooks: Sequence[Runbook]) -> str:
    """Every lab: a system, healthy or broken on purpose, that a reader can build and look at."""
    description = "Systems that are broken on purpose, to try a runbook on and to learn from."
    lines = _front("Labs", description, ["lab"])
    lines += [
        "A lab is a small system that exists for a minute: nothing of yours is touched, and it needs no root.",
        "`runbook run NAME --lab LAB` builds one, looks at it and throws it away; in `runbook lab NAME LAB` you look.",
        "",
        "A *kernel* lab is a Linux kernel that runs as an ordinary process (User-Mode Linux), with disks of its own. A",
        "*namespace* lab is a network and processes of its own on your kernel.",
        "",
    ]
    for one in sorted(runbooks, key=lambda one: one.name):
        if one.labs:
            lines += [f"## [{inline(one.title)}](runbooks/{one.name}.md)", "", inline(freshness(one)), ""]
            lines += [*_lab_table(one), ""]
    return "\n".join(lines)
