"""What a definition must keep to beyond the shape of its keys: names that exist, an order that can be run, and so on.

Works on nodes, whatever their shape, so that one mistake never hides the others.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator

from runbook.loader.documents import Mapping, Node, Report, Scalar, Sequence
from runbook.loader.words import check_reply, check_words
from runbook.values import (
    CAPABILITIES,
    ENGINE_CODES,
    PINNED_CAPABILITIES,
    READING_CAPABILITIES,
    TYPES,
    nearest,
    parse_value,
    shorten,
)

#: Programs that run others as somebody else; and programs that run whatever their words say.
_GIVE_RIGHTS = ("sudo", "doas", "su", "pkexec", "runuser", "setpriv", "capsh")
_RUN_ANYTHING = (
    *(
        "sh",
        "bash",
        "dash",
        "ash",
        "zsh",
        "ksh",
        "fish",
        "rbash",
        "busybox",
        "toybox",
        "python",
        "pypy",
        "perl",
        "ruby",
    ),
    *("lua", "luajit", "node", "deno", "php", "tclsh", "wish", "expect", "guile", "awk", "gawk", "mawk", "nawk", "sed"),
    *("ed", "ex", "vi", "vim", "view", "nano", "emacs", "less", "more", "man", "make", "git", "tar", "cpio", "rsync"),
    *(
        "zip",
        "ssh",
        "scp",
        "sftp",
        "socat",
        "nc",
        "gdb",
        "lldb",
        "strace",
        "ltrace",
        "bpftrace",
        "env",
        "xargs",
        "find",
    ),
    *("parallel", "watch", "nice", "ionice", "timeout", "stdbuf", "unbuffer", "nohup", "setsid", "setarch", "script"),
    *("time", "taskset", "chrt", "flock", "chroot", "unshare", "choom", "prlimit", "systemd-run", "start-stop-daemon"),
    *("run-parts", "dpkg", "apt", "apt-get", "ld-linux-x86-64.so", "ld-linux-aarch64.so"),
)
#: What prints the key of an encrypted device; dmsetup takes any beginning of its option that only one has.
_SHOWS_KEYS = re.compile(r"--sho?w?k?e?y?s?(?![a-z])|--dump-(?:volume|master)-key(?![a-z])|--unbound(?![a-z])")
_HAS_KEYS = re.compile(r"\b(?:dmsetup\b.*--s|cryptsetup\b.*(?:\bluksDump\b|--dump))", re.DOTALL)


def check(root: Node, folder: str, report: Report) -> None:
    """Report everything in this document that could not be run as it says."""
    parameters, steps, labs = (_items(_get(root, key)) for key in ("parameters", "steps", "labs"))
    _check_unique(parameters, "name", "parameter", report)
    _check_unique(steps, "id", "step", report)
    _check_unique(labs, "id", "lab", report)
    for parameter in parameters:
        _check_parameter(parameter, report)
    declared = {name: _is_true(_get(node, "secret")) for node in parameters if (name := _text(_get(node, "name")))}
    for step in steps:
        _check_command(step, declared, report)
        _check_rights(step, report)
        _check_answers(step, declared, report)
        _check_condition(step, declared, report)
    _check_order(steps, report)
    findings = _get(root, "findings")
    for lab in labs:
        _check_script(_get(lab, "script"), folder, report)
        _check_machine(lab, report)
        _check_values(_get(lab, "parameters"), parameters, report)
        answers = _get(lab, "answers")
        for prompt, _ in answers.entries if isinstance(answers, Mapping) else ():
            _check_regex(prompt, report, data=True)
        _check_codes(_get(lab, "expect"), findings, report)
    for symptom in _items(_get(root, "symptoms")):
        for code in _items(_get(symptom, "means")):
            _check_code(code, findings, report)


def _get(node: Node | None, key: str) -> Node | None:
    if isinstance(node, Mapping):
        for name, value in node.entries:
            if name.text == key:
                return value
    return None


def _items(node: Node | None) -> tuple[Node, ...]:
    return node.items if isinstance(node, Sequence) else ()


def _text(node: Node | None) -> str | None:
    return node.text if isinstance(node, Scalar) and node.value is not None else None


def _is_true(node: Node | None) -> bool:
    return isinstance(node, Scalar) and node.value is True


def _check_unique(nodes: Iterable[Node], key: str, noun: str, report: Report) -> None:
    lines: dict[str, int] = {}
    for node in nodes:
        place = _get(node, key)
        name = _text(place)
        if place is None or name is None:
            continue
        if name in lines:
            message = f"{noun} `{shorten(name)}` is here a second time"
            report.add(place, message, f"the first is in line {lines[name]}; rename one")
        lines.setdefault(name, place.line)


def _check_parameter(node: Node, report: Report) -> None:
    pattern, default, choices = _get(node, "pattern"), _get(node, "default"), _get(node, "choices")
    regex = _text(pattern) if pattern is None or _check_regex(pattern, report) else None
    type_node = _get(node, "type")
    type_name = _text(type_node)
    if type_name == "choice" and choices is None and type_node is not None:
        report.add(type_node, "a choice needs its `choices`", "write choices: [one, another]")
    for choice in _items(choices):
        _check_value(choice, "a choice", type_name, [], regex, report)
    if default is None:
        return
    if _is_true(_get(node, "required")):
        report.add(default, "a required parameter cannot have a default", "leave out `default` or `required`")
    if _is_true(_get(node, "secret")):
        report.add(default, "a secret that stands in a file is none", "leave out `default` or `secret`")
    _check_value(default, "the default", type_name, [_text(item) or "" for item in _items(choices)], regex, report)


def _check_value(
    node: Node, noun: str, type_name: str | None, choices: list[str], regex: str | None, report: Report
) -> None:
    text = _text(node)
    if type_name not in TYPES or text is None:
        return
    try:
        parse_value(type_name, text, choices, regex)
    except ValueError as error:
        report.add(node, f"{noun} {error}", "change it, or what it must be")


def _check_regex(node: Node, report: Report, data: bool = False) -> bool:
    """`data` is for what is matched against output: bytes."""
    text = _text(node)
    if text is None:
        return False
    try:
        with warnings.catch_warnings():
            # What Python only warns of, such as [[a], is nothing that the author meant either.
            warnings.simplefilter("error")
            re.compile(text.encode("utf-8", "replace") if data else text)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        message = f"not a regular expression: {error}"
        report.add(node, message, "write a backslash before a character that is meant as itself")
        return False
    return True


def _check_command(step: Node, declared: dict[str, bool], report: Report) -> None:
    argv, undo, shell = _get(step, "argv"), _get(step, "undo"), _is_true(_get(step, "shell"))
    if isinstance(argv, Scalar) and argv.value is not None:
        if not shell:
            words = ", ".join(shorten(argv.text).split())
            report.add(argv, "a text as argv needs `shell: true`", f"write the words as a list: [{words}]")
        check_words((argv,), declared, report, shell=True)
    elif shell and isinstance(argv, Sequence):
        report.add(argv, "with `shell: true` argv is one text", "write the text, or leave out `shell`")
    for command in (_items(argv), _items(undo)):
        if command and _text(command[0]) == "":
            report.add(command[0], "the command is empty", "write the command's name")
        check_words(command, declared, report)
    for said in (argv, undo):
        words = " ".join(filter(None, map(_text, _items(said)))) or _text(said) or ""
        if said is not None and _HAS_KEYS.search(words) and (option := _SHOWS_KEYS.search(words)):
            report.add(said, f"{option[0]} prints the key of an encrypted device", "delete it: no run needs to see it")
    if undo is not None and _text(_get(step, "effect")) != "change":
        report.add(undo, "only a step that changes something can be undone", "add `effect: change`, or delete `undo`")


def _check_rights(step: Node, report: Report) -> None:
    """A step that only reads has its rights from the launcher, and strong ones only for words that are written down."""
    if _text(_get(step, "effect")) == "change":
        return
    argv, needs = _get(step, "argv"), _get(step, "needs")
    first = _items(argv)[0] if _items(argv) else None
    program = _program(_text(first) or "")
    if first is not None and program in _GIVE_RIGHTS:
        message = f"{program} gives no rights inside the sandbox of a step that only reads"
        report.add(first, message, "delete it, and write `needs: {root: true}`")
    capabilities = [(node, _text(node)) for node in _items(_get(needs, "capabilities"))]
    for node, name in capabilities:
        if name in CAPABILITIES and name not in READING_CAPABILITIES:
            known = ", ".join(READING_CAPABILITIES)
            report.add(node, f"a step that only reads cannot have {name}", f"it may have {known}")
    pinned = [name for _, name in capabilities if name in PINNED_CAPABILITIES]
    if _is_true(_get(needs, "root")):
        pinned.insert(0, "root")
    if argv is not None and pinned and (_is_true(_get(step, "shell")) or _runs_anything(argv)):
        message = f"a step that reads with the right of {pinned[0]} cannot be a shell's or an interpreter's"
        report.add(argv, message, "name the one command, word by word")


def _program(word: str) -> str:
    """The program that a word names, without its folder and its version: `python3.11` is python."""
    return os.path.basename(word).rstrip("0123456789.-")


def _runs_anything(argv: Node) -> bool:
    """Whether these words start a program that does what its words say, also by way of a network namespace."""
    programs = [_program(_text(word) or "") for word in _items(argv)]
    # Of these the command itself comes later; wherever it stands, no shell may.
    later = programs[1:] if programs[:1] in (["ip"], ["nsenter"]) else []
    return any(program in _RUN_ANYTHING for program in (*programs[:1], *later))


def _check_answers(step: Node, declared: dict[str, bool], report: Report) -> None:
    answers = _get(step, "answers")
    if not isinstance(answers, Mapping):
        return
    if not _is_true(_get(step, "terminal")):
        report.add(answers, "only a step with a terminal can be answered", "add `terminal: true`")
    for prompt, reply in answers.entries:
        _check_regex(prompt, report, data=True)
        if isinstance(reply, Scalar):
            check_reply(reply, declared, report)


def _check_condition(step: Node, declared: dict[str, bool], report: Report) -> None:
    when = _get(step, "when")
    if not isinstance(when, Mapping):
        return
    parameter, earlier = _get(when, "parameter"), _get(when, "step")
    if (parameter is None) == (earlier is None):
        report.add(when, "`when` needs either `parameter` or `step`", "write {parameter: NAME} or {step: ID}")
    if _get(when, "failed") is not None and earlier is None:
        report.add(when, "`failed` belongs to a step", "write {step: ID, failed: true}")
    _check_known(parameter, "parameter", declared, report)


def _check_known(node: Node | None, noun: str, known: Iterable[str], report: Report) -> None:
    name = _text(node)
    if node is None or name is None or name in known:
        return
    names = ", ".join(map(shorten, list(known)[:10]))
    listed = f"known here: {names}" if names else f"there are no {noun}s here"
    report.add(node, f"there is no {noun} `{shorten(name)}`", nearest(name, known) or listed)


def _check_order(steps: tuple[Node, ...], report: Report) -> None:
    """A step waits for earlier ones only: then there is always one that can begin, and reading down is running down."""
    ids = [_text(_get(step, "id")) or "" for step in steps]
    places: dict[str, int] = {}
    for index, name in enumerate(ids):
        if name:
            places.setdefault(name, index)
    waits: dict[str, list[str]] = {}
    later: list[tuple[str, str, Node]] = []
    for index, (step, name) in enumerate(zip(steps, ids, strict=True)):
        for node in _awaited(step):
            target = _text(node) or ""
            _check_known(node, "step", places, report)
            if name and target in places:
                waits.setdefault(name, []).append(target)
                if places[target] >= index:
                    later.append((name, target, node))
    _report_order(later, waits, report)


def _awaited(step: Node) -> Iterator[Node]:
    yield from _items(_get(step, "after"))
    earlier = _get(_get(step, "when"), "step")
    if earlier is not None:
        yield earlier


def _report_order(later: list[tuple[str, str, Node]], waits: dict[str, list[str]], report: Report) -> None:
    told: set[str] = set()
    for name, target, node in later:
        if {name, target} <= told:
            continue
        cycle = _way(target, name, waits)
        if not cycle:
            report.add(node, f"step `{name}` waits for `{target}`, which comes later", f"move `{target}` up before it")
        else:
            told.update(cycle)
            circle = " → ".join([name, *cycle])
            message = f"these steps wait for each other for ever: {circle}"
            report.add(node, message, "delete one of the `after` or `when`")


def _way(start: str, end: str, waits: dict[str, list[str]]) -> list[str]:
    """The shortest way from one step to another along what each waits for; empty when there is none."""
    came: dict[str, str] = {start: ""}
    queue = [start]
    for name in queue:
        if name == end:
            way = [name]
            while came[way[0]]:
                way.insert(0, came[way[0]])
            return way
        for target in waits.get(name, ()):
            if target not in came:
                came[target] = name
                queue.append(target)
    return []


def _check_script(node: Node | None, folder: str, report: Report) -> None:
    name = _text(node)
    if node is None or not name or "\0" in name:
        return
    root = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(root, name))
    if os.path.commonpath([root, path]) != root:
        report.add(node, f"`{shorten(name)}` leaves the runbook's folder", "keep the script in labs/")
    elif not os.path.isfile(path):
        report.add(node, f"there is no file `{shorten(name)}` in the runbook's folder", _near_file(root, name))


def _near_file(root: str, name: str) -> str:
    parent = os.path.dirname(name)
    try:
        files = [os.path.join(parent, file) for file in os.listdir(os.path.join(root, parent))]
    except OSError:
        files = []
    return nearest(name, files) or "write it, or correct the name"


def _check_machine(lab: Node, report: Report) -> None:
    """A namespace has the host's kernel, and with it the host's disks and memory."""
    if _text(_get(lab, "kind")) != "namespace":
        return
    for key in ("disks", "memory"):
        place = _get(lab, key)
        if place is not None:
            report.add(place, f"only a kernel lab has `{key}` of its own", f"leave out `{key}`, or write kind: kernel")


def _check_values(given: Node | None, parameters: Iterable[Node], report: Report) -> None:
    """Whether these values, by the names of parameters, are ones that those can have."""
    declared = {known: node for node in parameters if (known := _text(_get(node, "name")))}
    for name, value in given.entries if isinstance(given, Mapping) else ():
        _check_known(name, "parameter", declared, report)
        parameter = declared.get(name.text)
        if parameter is None or not isinstance(value, Scalar):
            continue
        if _is_true(_get(parameter, "secret")):
            report.add(value, "a secret that stands in a file is none", "leave it out")
            continue
        pattern, choices = (
            _get(parameter, "pattern"),
            [_text(item) or "" for item in _items(_get(parameter, "choices"))],
        )
        # Of a pattern that is none, the parameter itself tells.
        regex = _text(pattern) if pattern is not None and _check_regex(pattern, Report(report.path)) else None
        _check_value(value, f"the value of `{name.text}`", _text(_get(parameter, "type")), choices, regex, report)


def _check_codes(expect: Node | None, findings: Node | None, report: Report) -> None:
    for code, _ in expect.entries if isinstance(expect, Mapping) else ():
        _check_code(code, findings, report)


def _check_code(code: Node, findings: Node | None, report: Report) -> None:
    """A code is the helper's or the engine's."""
    if isinstance(findings, Mapping) and _text(code) not in ENGINE_CODES:
        _check_known(code, "finding", [known.text for known, _ in findings.entries], report)
