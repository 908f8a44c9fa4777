"""A run, or several beside each other, as a fragment of a page: what commands printed is text in it and nothing else.

No script, no style and no attribute comes from a run; addresses become links only when they are http(s). The page needs
`runbook.css` to look well, and `runbook.js` only to open what a link points to: everything is there without either.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from runbook.model import Capture, Ending, Finding, Reference, Run, Runbook
from runbook.renderers.ansi import html_lines
from runbook.renderers.json import timestamp
from runbook.renderers.markup import badge, block, fact_words, facts, inline, sign, slug, text, unique
from runbook.renderers.plain import (
    URL,
    Lines,
    advice_parts,
    duration,
    ended,
    moment,
    one_line,
    quote,
    recorded,
    refusal,
    system,
)

#: Of longer output the page shows the first and the last lines, and those around evidence; the run itself keeps all.
FIRST_LINES, LAST_LINES, AROUND = 200, 50, 2
#: A longer line is cut, in bytes; some tools print all they know on one.
LONGEST_LINE = 4000
#: So much of the facts of one run can be found by a search, in characters.
SEARCHED_CHARACTERS = 2000
#: So many lines of one piece of evidence are linked.
LINKED_LINES = 50


#: Values of parameters, by name.
Given = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """One run of a card: its tab's label, a sentence on it, and the command with which a reader sees the same.

    `place` is where a live run was made, as its reader would say it.
    """

    run: Run
    label: str
    title: str = ""
    command: str = ""
    place: str = "on the host that built this page"


def card(
    runbook: Runbook,
    panels: Sequence[Panel],
    *,
    place: str,
    link: str = "",
    remark: str = "",
    given: Given = (),
    freshness: str = "",
) -> Iterator[str]:
    """A runbook with its runs; `place` is an id that nothing else on the page has.

    `link` is where the runbook's title leads to, `remark` a sentence on how the runs came, or did not come, to be,
    `given` the values that a reader must give to see the same, `freshness` a sentence on when it was last tried.
    """
    values = text(json.dumps(dict(given), ensure_ascii=True))
    yield f'<div class="rb" id="{place}" role="group" aria-labelledby="{place}--Title"'
    yield f' data-rb-name="{text(runbook.name)}" data-rb-given="{values}">\n'
    title = inline(runbook.title)
    linked = f'<a href="{escape(link)}">{title}</a>' if link else title
    yield f'<p class="rb-title" id="{place}--Title">{linked}</p>\n<p class="rb-summary">{inline(runbook.summary)}</p>\n'
    yield f'<ul class="rb-tags">{"".join(f"<li>{text(word)}</li>" for word in tags(runbook))}</ul>\n'
    yield f'<p class="rb-remark">{inline(remark)}</p>\n' if remark else ""
    yield from _tabs(panels, place) if panels else ('<p class="rb-remark">Nothing has been recorded yet.</p>\n',)
    words = ["runbook", "run", runbook.name, *(word for pair in given for word in ("--set", "=".join(pair)))]
    yield f'<p class="rb-try">On your own host:</p>{block("rb-command", text(shlex.join(words)), f"{place}--B")}\n'
    yield f'<p class="rb-remark">{inline(freshness)}</p>\n' if freshness else ""
    yield "</div>"


def result(panel: Panel, place: str) -> Iterator[str]:
    """One run without the card around it; `place` is an id that nothing else on the page has."""
    yield from _Page(panel, place).pieces()


def words(runbook: Runbook, panels: Sequence[Panel]) -> Iterator[str]:
    """What a search should find a card by: findings and facts, not what commands printed. Pieces of HTML, few tags."""
    yield f"{inline(runbook.title)}. {inline(runbook.summary)}"
    for panel in panels:
        yield f"{text(panel.label)}: {text(panel.title)}"
        for found in panel.run.findings:
            yield f"{found.verdict} {text(one_line(found.code))}: {inline(found.summary)} {inline(found.explanation)}"
        yield text(" ".join(dict.fromkeys(fact_words(panel.run.facts)))[:SEARCHED_CHARACTERS])


def _tabs(panels: Sequence[Panel], place: str) -> Iterator[str]:
    """Radio buttons, because they work without a script, with the keyboard, and in print all are shown."""
    yield f'<div class="rb-tabs" role="radiogroup" aria-labelledby="{place}--Title">\n'
    used: set[str] = set()
    for number, panel in enumerate(panels):
        name = unique(f"{place}--{slug(panel.run.source.name or panel.run.source.kind)}", used)
        verdict, checked = panel.run.verdict, "" if number else " checked"
        yield f'<input type="radio" class="rb-tab" name="{place}" id="{name}--Tab"{checked}>'
        yield f'<label for="{name}--Tab">{sign(verdict)} {text(panel.label)}'
        yield f'<span class="rb-sr"> ({verdict})</span></label>\n'
        yield f'<div class="rb-panel rb-{verdict}" id="{name}">\n'
        yield from _Page(panel, name).pieces()
        yield "</div>\n"
    yield "</div>\n"


def tags(runbook: Runbook) -> Iterator[str]:
    """Its section, and what it does to a host and needs there."""
    yield runbook.section
    yield "changes the host" if runbook.changes else "reads only"
    if any(step.needs.root for step in runbook.steps):
        yield "needs root"
    if any(step.needs.network for step in runbook.steps):
        yield "uses the network"


class _Page:
    """The pieces of one run; `place` begins every id in it.

    Parts of an id are set apart by two hyphens, which no slug has, and what is no slug begins with a capital letter.
    """

    def __init__(self, panel: Panel, place: str) -> None:
        self._panel = panel
        self._run = panel.run
        self._place = place
        used = {f"{place}--{slug(capture.step)}" for capture in panel.run.captures}
        self._ids = [unique(f"{place}--{slug(found.code)}", used) for found in self._run.findings]
        self._blocks = 0
        #: The steps whose output the page shows.
        self._told = {capture.step for capture in panel.run.captures if capture.ending is not Ending.SKIPPED}

    def pieces(self) -> Iterator[str]:
        run, panel = self._run, self._panel
        title = f" {inline(panel.title)}" if panel.title else ""
        yield f'<p class="rb-verdict">{badge(run.verdict)}{title}</p>\n'
        yield f'<p class="rb-from">{_origin(run, panel.place)}</p>\n'
        yield '<ul class="rb-findings">\n'
        for found, name in zip(run.findings, self._ids, strict=True):
            yield f'<li class="rb-finding rb-{found.verdict}" id="{name}">'
            yield from self._finding(found)
            yield "</li>\n"
        yield "</ul>\n"
        if run.drawing:
            yield f"{self._block('rb-drawing', text(run.drawing.expandtabs()))}\n"
        yield from facts(run.facts)
        yield from self._steps()
        if panel.command:
            yield f'<p class="rb-try">See it happen:</p>{self._command(panel.command)}\n'

    def _finding(self, found: Finding) -> Iterator[str]:
        yield f'<p class="rb-head">{badge(found.verdict)} <code>{text(one_line(found.code))}</code></p>'
        yield f'<p class="rb-said">{inline(found.summary)}</p>'
        yield from self._evidence(found)
        if found.explanation:
            yield f'<p class="rb-why">{inline(found.explanation)}</p>'
        yield from self._advice(found.advice)
        yield from (f'<p class="rb-reference">{_reference(reference)}</p>' for reference in found.references)

    def _evidence(self, found: Finding) -> Iterator[str]:
        quotes = [(evidence, quote(self._run, evidence)) for evidence in found.evidence]
        if not any(quoted.lines for _, quoted in quotes):
            return
        yield '<ul class="rb-evidence">'
        for evidence, quoted in quotes:
            for number, line in quoted.lines:
                words = f"<span>{text(quoted.place)}:{number}</span> <code>{text(line.text.strip())}</code>"
                target = self._line(evidence.step, evidence.stream, number)
                yield (
                    f'<li><a href="#{target}">{words}</a></li>' if evidence.step in self._told else f"<li>{words}</li>"
                )
            if quoted.folded:
                yield f"<li>{text(quoted.place)}: {quoted.folded} more lines</li>"
        yield "</ul>"

    def _advice(self, advice: str) -> Iterator[str]:
        for is_command, lines in advice_parts(advice) if advice else ():
            if is_command:
                yield self._command("\n".join(lines))
            else:
                yield "".join(f'<p class="rb-advice">{inline(line)}</p>' for line in lines if line.strip())

    def _line(self, step: str, stream: str, number: int) -> str:
        return f"{self._place}--{slug(step)}--{'E' if stream == 'stderr' else 'L'}{number}"

    def _block(self, kind: str, html: str) -> str:
        """A block that scrolls. Each has an id, because the theme's copy button takes the nearest for its own."""
        self._blocks += 1
        return block(kind, html, f"{self._place}--B{self._blocks}")

    def _command(self, line: str) -> str:
        return self._block("rb-command", text(line))

    def _steps(self) -> Iterator[str]:
        captures = self._run.captures
        skipped = [capture.step for capture in captures if capture.ending is Ending.SKIPPED]
        # Output changes with every recording and would drown the rest of a search.
        yield '<section class="rb-steps" data-search-exclude>\n'
        for capture in captures:
            if capture.ending is not Ending.SKIPPED:
                yield from self._step(capture)
        if skipped:
            yield f'<p class="rb-remark">Not needed: {text(", ".join(skipped))}.</p>\n'
        yield "</section>\n"

    def _step(self, capture: Capture) -> Iterator[str]:
        titles = {command.step: command.title for command in self._run.plan.commands}
        # Of some recordings nobody knows how long they took.
        how = f"{ended(capture)} · {duration(capture.seconds)}" if capture.seconds else ended(capture)
        yield f'<details class="rb-step" id="{self._place}--{slug(capture.step)}"><summary>'
        yield f"<code>{text(capture.step)}</code> {inline(titles.get(capture.step, ''))} "
        yield f'<span class="rb-ended">{text(how)}</span></summary>\n{self._command(shlex.join(capture.argv))}\n'
        if capture.detail and capture.detail != ended(capture):
            yield f'<p class="rb-remark">{text(one_line(capture.detail))}</p>\n'
        if capture.sandbox:
            yield f'<p class="rb-remark">Sandbox {text(one_line(capture.sandbox))}.</p>\n'
        for stream, data in (("stdout", capture.stdout), ("stderr", capture.stderr)):
            if data:
                lines = "".join(self._output(capture.step, stream, data))
                yield f'<p class="rb-stream">{stream}</p>{self._block(f"rb-output rb-{stream}", lines)}\n'
        if not capture.stdout and not capture.stderr and capture.ending is Ending.EXITED:
            yield '<p class="rb-remark">It printed nothing.</p>\n'
        if hint := refusal(capture):
            yield f'<p class="rb-remark">{text(hint)}</p>\n'
        if capture.truncated:
            yield f'<p class="rb-remark">{capture.dropped} more bytes were read and not kept.</p>\n'
        yield "</details>\n"

    def _output(self, step: str, stream: str, data: bytes) -> Iterator[str]:
        lines = Lines(data)
        marks = self._marks(step, stream, len(lines))
        shown = _shown(len(lines), marks)
        before = 0
        pieces = html_lines(b"".join(_cut(lines[number]) + b"\n" for number in shown))
        for number, html in zip(shown, pieces, strict=True):
            if number > before + 1:
                yield f'<span class="rb-gap">… {number - before - 1} lines left out</span>\n'
            yield self._marked(step, stream, number, html, marks[number]) if number in marks else f"{html}\n"
            before = number

    def _marked(self, step: str, stream: str, number: int, html: str, names: Sequence[str]) -> str:
        """A line that findings rest on leads to the first of them, and names the others."""
        name = self._line(step, stream, number)
        line = f'<a class="rb-line" id="{name}" href="#{names[0]}">{html or "&nbsp;"}</a>'
        others = (f' <a class="rb-back" href="#{other}">{other.rpartition("--")[2]}</a>' for other in names[1:])
        return line + "".join(others) + "\n"

    def _marks(self, step: str, stream: str, count: int) -> dict[int, list[str]]:
        """For each line that is evidence, the ids of the findings that rest on it."""
        marks: dict[int, list[str]] = {}
        for found, name in zip(self._run.findings, self._ids, strict=True):
            for evidence in found.evidence:
                if (evidence.step, evidence.stream) == (step, stream):
                    first = max(evidence.first_line, 1)
                    for number in range(first, min(evidence.last_line, count, first + LINKED_LINES - 1) + 1):
                        names = marks.setdefault(number, [])
                        names += [] if name in names else [name]
        return marks


def _shown(count: int, marks: Mapping[int, object]) -> list[int]:
    """The numbers of the lines that the page shows, in order."""
    if count <= FIRST_LINES + LAST_LINES:
        return list(range(1, count + 1))
    wanted = {*range(1, FIRST_LINES + 1), *range(count - LAST_LINES + 1, count + 1)}
    for number in marks:
        wanted.update(range(max(1, number - AROUND), min(count, number + AROUND) + 1))
    return sorted(wanted)


def _cut(line: bytes) -> bytes:
    if len(line) <= LONGEST_LINE:
        return line
    end = LONGEST_LINE
    while end > LONGEST_LINE - 4 and line[end] & 0xC0 == 0x80:  # not in the middle of a character
        end -= 1
    return line[:end] + f" … {len(line) - end} more bytes".encode()


def _origin(run: Run, live: str) -> str:
    """Where a run comes from, so that no reader takes a recording for their own host."""
    if run.source.kind == "sample":
        kind, place = "Recorded", recorded(run.source).removeprefix("recorded ")
    elif run.source.kind == "live":
        kind, place = "Live", f"{live}, {run.host.name}"
    else:
        kind, place = run.source.kind.capitalize(), run.source.name
    words = " · ".join(text(one_line(part)) for part in (place, system(run)) if part)
    when = moment(run)
    if when:
        # Of a recording only the day is known, and `moment` says no more.
        exact = when if run.source.kind == "sample" else timestamp(run.started)
        words += f' · <time datetime="{exact}">{when}</time>'
    return f'<span class="rb-kind">{kind}</span> {words}'


def _reference(reference: Reference) -> str:
    if URL.fullmatch(reference.url):
        return f'<a href="{escape(reference.url)}" rel="noopener">{inline(reference.title)}</a>'
    return inline(f"{reference.title} {reference.url}")
