"""What a definition must keep to beyond the shape of its keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.loader.writing import loaded, told


def steps(*extra: str) -> str:
    """Steps a, b, c …, each with this in addition, from line 2 on."""
    return "steps:\n" + "\n".join(
        f"- {{id: {id}, argv: [ls], {more}}}" for id, more in zip("abcdef", extra, strict=False)
    )


def parameter(more: str) -> str:
    return f"parameters: [{{name: size, {more}}}]"


def step(argv: str, needs: str, more: str = "") -> str:
    return f"steps: [{{id: a, argv: {argv}, needs: {{{needs}}}{more}}}]"


def lab(more: str, kind: str = "kernel") -> str:
    return f"labs: [{{id: full, title: T, kind: {kind}, {more}}}]\nfindings: {{disk-full: A disk is full.}}"


def valued(values: str, more: str = "") -> str:
    """A lab with values for a parameter that is a size."""
    return parameter(f"type: size{more}") + "\n" + lab(f"script: labs/full.sh, parameters: {values}")


TOLD = [
    # names that are here twice
    (parameter("type: path}, {name: size, type: path"), "1:47: parameter `size` is here a second time"),
    ("steps:\n- {id: a, argv: [b]}\n- {id: a, argv: [c]}", "3:8: step `a` is here a second time\n    the first is"),
    (lab("script: labs/full.sh}, {id: full, kind: kernel"), "lab `full` is here a second time"),
    # parameters
    (parameter("type: choice"), "a choice needs its `choices`\n    write choices: [one, another]"),
    (parameter("type: choice, choices: [a, b], default: c"), "1:67: the default must be one of a, b"),
    (parameter("type: integer, default: 1.5"), "the default must be a whole number such as 10\n    change it"),
    (parameter("type: boolean, default: yes"), "the default must be true or false"),
    (parameter("type: size, default: 5 MB"), "the default must be a size"),
    (parameter("type: duration, default: 5 s"), "the default must be a duration"),
    (parameter("type: host, default: a_b"), "the default must be a host name"),
    (parameter("type: url, default: example.org"), "the default must be a URL"),
    (parameter("type: string, pattern: '[a-c]+', default: abd"), "the default must match the pattern [a-c]+"),
    (parameter("type: string, pattern: '[a-c', default: abd"), "not a regular expression: unterminated character set"),
    (parameter("type: string, pattern: '[[a]'"), "not a regular expression: Possible nested set"),
    (parameter(f"type: string, pattern: '{'(' * 5000}'"), "not a regular expression: "),
    (parameter("type: string, pattern: 'a{99999999999}'"), "not a regular expression: "),
    (parameter("type: integer, choices: [1, two]"), "1:55: a choice must be a whole number such as 10"),
    (parameter("type: string, required: true, default: x"), "a required parameter cannot have a default"),
    (parameter("type: string, secret: true, default: x"), "a secret that stands in a file is none"),
    # commands
    ("steps: [{id: a, argv: df -h}]", "1:23: a text as argv needs `shell: true`\n    write the words as a list: [df"),
    # keys
    (step("[dmsetup, table, --showkeys]", "root: true"), "1:23: --showkeys prints the key of an encrypted device"),
    (step("[/sbin/dmsetup, --sh, table]", "root: true"), "1:23: --sh prints the key of an encrypted device"),
    (step("[cryptsetup, luksDump, --dump-volume-key, /dev/sda]", "root: true"), "--dump-volume-key prints the key"),
    (step("[cryptsetup, luksDump, --dump-master-key, /dev/sda]", "root: true"), "--dump-master-key prints the key"),
    (step("[cryptsetup, --unbound, luksDump, /dev/sda]", "root: true"), "--unbound prints the key"),
    (step("'x=1; dmsetup table --showkeys'", "", ", shell: true"), "--showkeys prints the key of an encrypted device"),
    (step("[nsenter, -t, '1', -m, dmsetup, table, --showk]", "root: true"), "--showk prints the key"),
    ("steps: [{id: a, argv: [df, -h], shell: true}]", "1:23: with `shell: true` argv is one text"),
    ("steps: [{id: a, argv: ['', x]}]", "1:24: the command is empty"),
    ("steps: [{id: a, argv: [b], undo: ['']}]", "the command is empty"),
    ("steps: [{id: a, argv: []}]", "`argv` is empty"),
    ("steps: [{id: a, argv: [b], undo: [c]}]", "only a step that changes something can be undone\n    add `effect"),
    # rights
    (step("[sudo, lvs]", ""), "1:24: sudo gives no rights inside the sandbox of a step that"),
    (step("[/usr/bin/pkexec, lvs]", ""), "pkexec gives no rights inside the sandbox"),
    (step("[ss]", "capabilities: [sys_module]"), "a step that only reads cannot have sys_module\n    it may have "),
    (step("lvs | wc", "root: true", ", shell: true"), "a step that reads with the right of root cannot be a shell's"),
    *((step(f"[{argv}]", "root: true"), "the right of root cannot be a shell's or") for argv in (
        "sh, -c, x", "/bin/bash, x", "python3.11, -c, x", "/usr/bin/perl5.36, x", "sed, -n, 1e id", "busybox, sh",
        "ip, netns, exec, blue, sh, -c, x", "nsenter, -t, '1', /bin/sh", "/lib64/ld-linux-x86-64.so.2, x", "env, x",
    )),
    (step("[dash, -c, x]", "capabilities: [sys_admin]"), "the right of sys_admin cannot be a shell's"),
    # answers
    ("steps: [{id: a, argv: [b], answers: {c: d}}]", "only a step with a terminal can be answered\n    add"),
    ("steps: [{id: a, argv: [b], terminal: true, answers: {'(': d}}]", "not a regular expression: missing )"),
    # conditions
    (steps("when: {}"), "`when` needs either `parameter` or `step`"),
    (steps("when: {failed: true}"), "`failed` belongs to a step"),
    (parameter("type: path") + "\n" + steps("", "when: {parameter: size, step: a}"), "`when` needs either"),
    (parameter("type: path") + "\n" + steps("when: {parameter: sise}"), "no parameter `sise`\n    did you mean"),
    (steps("when: {parameter: size}"), "there is no parameter `size`\n    there are no parameters here"),
    (steps("", "when: {step: zz}"), "3:36: there is no step `zz`\n    known here: a, b"),
    (steps("", "after: [a, lok]").replace("id: a", "id: look"), "there is no step `lok`\n    did you mean `look`?"),
    # order
    (steps("after: [a]"), "2:31: these steps wait for each other for ever: a → a\n    delete one"),
    (steps("after: [b]", "after: [a]"), "2:31: these steps wait for each other for ever: a → b → a"),
    (steps("when: {step: c}", "after: [a]", "after: [b]"), "these steps wait for each other for ever: a → c → b → a"),
    (steps("after: [b]", ""), "2:31: step `a` waits for `b`, which comes later\n    move `b` up before it"),
    # labs
    (lab("script: labs/ful.sh"), "no file `labs/ful.sh` in the runbook's folder\n    did you mean `labs/full.sh`?"),
    (lab("script: nowhere/x"), "no file `nowhere/x` in the runbook's folder\n    write it, or correct"),
    (lab("script: labs"), "there is no file `labs` in the runbook's folder"),
    (lab("script: ../outside.sh"), "`../outside.sh` leaves the runbook's folder\n    keep the script in labs/"),
    (lab("script: labs/../../x.sh"), "`labs/../../x.sh` leaves the runbook's folder"),
    (lab("script: /etc/passwd"), "`/etc/passwd` leaves the runbook's folder"),
    (lab("script: labs/full.sh, expect: {disk-ful: ok}"), "no finding `disk-ful`\n    did you mean"),
    (lab("script: labs/full.sh, expect: {disk-full: bad}"), "`disk-full` cannot be `bad`"),
    (lab("script: labs/full.sh, disks: [1M]", "namespace"), "only a kernel lab has `disks` of its own\n    leave"),
    (lab("script: labs/full.sh, memory: 1G", "namespace"), "only a kernel lab has `memory` of its own"),
    (valued("{sise: 1}"), "there is no parameter `sise`\n    did you mean `size`?"),
    (valued("{size: big}"), "the value of `size` must be a size such as"),
    (valued("{size: 1G}", ", secret: true"), "a secret that stands in a file is none\n    leave it out"),
    (lab("script: labs/full.sh, commands: sfdisk"), "`commands` must be a list, not `sfdisk`"),
    (lab("script: labs/full.sh, commands: ['']"), "an item of `commands` is empty"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), TOLD)
def test_what_is_told(tmp_path: Path, text: str, said: str) -> None:
    problems = told(tmp_path, text)
    assert any(said in problem for problem in problems), problems
    assert all(problem.count("\n    ") == 1 for problem in problems), problems


TAKEN = [
    step("[dmsetup, table, --target, crypt]", "root: true"),
    step("[dmsetup, info, -c, --separator, ' ', --select, 'x']", "root: true"),
    step("[cryptsetup, luksAddKey, --unbound, /dev/sda]", "root: true", ", effect: change"),
    step("[btrfs, show, --showkeys]", "root: true"),
    parameter("type: integer, choices: [1, 2], default: 2"),
    parameter("type: string, default: ''"),
    parameter("type: path, default: '~/x'"),
    parameter("type: string, secret: true, required: true"),
    steps("", "after: [a, a]", "when: {step: b, failed: false}"),
    "steps: [{id: a, argv: [b], effect: change, undo: [c]}]",
    step("[lvs]", "root: true"),
    step("[python3, -c, x]", ""),
    step("[sh, -c, x]", "capabilities: [net_raw]"),
    step("[ip, netns, exec, blue, ss]", "root: true"),
    step("[sudo, sh, -c, x]", "root: true", ", effect: change"),
    lab("script: ./labs/full.sh, expect: {disk-full: critical}"),
    lab("script: labs/full.sh, expect: {not-permitted: unknown, unreadable: unknown}"),
    valued("{size: 1G}"),
    valued("{}"),
    lab("script: labs/full.sh, commands: [ip]", "namespace"),
    "labs: [{id: a, title: T, kind: kernel, script: labs/full.sh, expect: {any-code: ok}}]",
]


@pytest.mark.parametrize("text", TAKEN)
def test_what_is_taken(tmp_path: Path, text: str) -> None:
    assert told(tmp_path, text) == []


def test_a_script_behind_a_link_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    loaded(tmp_path, "")
    (tmp_path / "disk_usage/labs/link.sh").symlink_to("/bin/sh")
    assert "1:1: is a link, which tomorrow may lead elsewhere" in told(tmp_path, lab("script: labs/link.sh"))[0]


def test_a_circle_is_told_once(tmp_path: Path) -> None:
    problems = told(tmp_path, steps("after: [c]", "after: [a]", "after: [b]", "after: [d]"))
    assert [problem.split(": ", 1)[1].split("\n")[0][-9:] for problem in problems] == ["c → b → a", "er: d → d"]


def test_a_step_without_a_name_hides_no_other_mistake(tmp_path: Path) -> None:
    problems = told(tmp_path, "steps: [{argv: [a]}, {id: '', argv: [a], after: ['', b]}]")
    assert any("there is no step `b`" in problem for problem in problems)


def test_a_secret_default_is_not_repeated(tmp_path: Path) -> None:
    problems = told(tmp_path, parameter("type: integer, secret: true, default: hunter2"))
    assert len(problems) == 2
    assert "hunter2" not in "".join(problems)
