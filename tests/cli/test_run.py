"""`runbook run`: exit status, formats, parameters, replays, and that nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.base import COMMAND, HELPER, Base, open_to_all, ordinary


def saying(base: Base, words: str, name: str = "talk") -> None:
    base.runbook(name, [{"argv": ["echo", words]}], HELPER, findings={"all-well": "Well.", "broken": "Not well."})


VERDICTS = {
    "ok": ([{"argv": ["echo", "well"]}], 0),
    "critical": ([{"argv": ["echo", "bad"]}], 2),
    "unknown": ([{"argv": ["echo", "well"]}, {"argv": ["no-such-tool"]}], 3),
}


@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_exit_status_is_the_verdicts(base: Base, verdict: str) -> None:
    steps, status = VERDICTS[verdict]
    base.runbook("talk", steps, HELPER)
    assert base.call("run", "talk").returncode == status


def test_unknown_is_critical_when_strict(base: Base) -> None:
    base.runbook("talk", VERDICTS["unknown"][0], HELPER)
    assert base.call("run", "talk", "--strict").returncode == 2


def test_a_known_problem_is_not_hidden_behind_unknown(base: Base) -> None:
    base.runbook("talk", [{"argv": ["echo", "bad"]}, {"argv": ["no-such-tool"]}], HELPER)
    assert base.call("run", "talk").returncode == 2


def test_of_several_runs_the_worst_counts(base: Base) -> None:
    saying(base, "well", "good")
    saying(base, "ill", "poor")
    assert base.call("run", "good", "poor").returncode == 2


def test_several_names_give_one_json_list(base: Base) -> None:
    saying(base, "well", "good")
    saying(base, "ill", "poor")
    documents = json.loads(base.call("run", "good", "poor", "--format", "json").stdout)
    assert [document["verdict"] for document in documents] == ["ok", "critical"]


def test_a_name_given_twice_runs_once(base: Base) -> None:
    saying(base, "well", "good")
    assert isinstance(json.loads(base.call("run", "good", "good", "--format", "json").stdout), dict)


def test_a_missing_tool_is_named_with_its_package(base: Base) -> None:
    base.runbook("talk", [{"argv": ["no-such-tool"]}], packages={"no-such-tool": "such-tools"})
    done = base.call("run", "talk")
    assert "apt install such-tools" in done.stdout
    assert done.returncode == 3


def test_an_unknown_name_is_answered_with_the_nearest(base: Base) -> None:
    saying(base, "well", "disk-usage")
    done = base.call("run", "disk-usge")
    assert "did you mean `disk-usage`?" in done.stderr
    assert done.returncode == 64


def test_a_broken_definition_stops_before_anything_runs(base: Base) -> None:
    saying(base, "well", "good")
    base.runbook("poor", [{"argv": ["touch", "trace"]}], steeps=[])
    done = base.call("run", "good", "poor")
    assert "unknown key `steeps`" in done.stderr
    assert (done.returncode, done.stdout) == (64, "")


def test_the_markdown_format_is_markdown(base: Base) -> None:
    saying(base, "ill")
    assert "### ✗ critical: `broken`" in base.call("run", "talk", "--format", "markdown").stdout


def test_progress_goes_to_standard_error_line_by_line(base: Base) -> None:
    base.runbook("two", [{"argv": ["sleep", "0.3"]}, {"argv": ["true"]}])
    lines = base.call("run", "two").stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == ["a", "b"]


def test_quiet_says_nothing_on_standard_error(base: Base) -> None:
    saying(base, "well")
    assert base.call("run", "talk", "--quiet").stderr == ""


def test_no_colours_in_a_pipe(base: Base) -> None:
    saying(base, "ill")
    assert "\x1b" not in base.call("run", "talk").stdout


def test_the_timeout_of_the_run_ends_its_steps(base: Base) -> None:
    base.runbook("slow", [{"argv": ["sleep", "30"]}])
    done = base.call("run", "slow", "--timeout", "0.5")
    assert "timed-out" in done.stdout
    assert done.returncode == 3


@pytest.mark.parametrize("value", ["soon", "-1", "1 hour"])
def test_a_timeout_that_is_no_duration_is_refused(base: Base, value: str) -> None:
    saying(base, "well")
    done = base.call("run", "talk", f"--timeout={value}")
    assert "must be a duration" in done.stderr
    assert done.returncode == 64


def test_a_value_reaches_the_command_as_one_word(base: Base) -> None:
    base.runbook("say", [{"argv": ["printf", "[%s]", "{word}"]}], parameters=[{"name": "word", "type": "string"}])
    done = base.call("run", "say", "--set", "word=a b; touch trace", "--format", "json")
    assert json.loads(done.stdout)["captures"][0]["stdout"] == "[a b; touch trace]"


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("word", "not KEY=VALUE"),
        ("=x", "not KEY=VALUE"),
        ("wrod=x", "did you mean `word`?"),
        ("word=--help", "would take it for an option"),
        ("word=a\x1b[31m", "must not contain control characters"),
    ],
)
def test_a_wrong_set_is_refused_in_words(base: Base, pair: str, said: str) -> None:
    base.runbook("say", [{"argv": ["echo", "{word}"]}], parameters=[{"name": "word", "type": "string"}])
    done = base.call("run", "say", "--set", pair)
    assert said in done.stderr
    assert done.returncode == 64


def test_a_secret_is_nowhere_in_the_result(base: Base) -> None:
    base.runbook(
        "login",
        [{"argv": ["bash", "-c", "read -sp 'pass: ' p; echo $p"], "terminal": True, "answers": {"pass: $": "{pass}"}}],
        parameters=[{"name": "pass", "type": "string", "secret": True}],
    )
    done = base.call("run", "login", "--set", "pass=open-sesame", "--format", "json")
    assert "***" in json.loads(done.stdout)["captures"][0]["stdout"]
    assert "open-sesame" not in done.stdout + done.stderr


def test_a_change_is_not_made_without_approval(base: Base) -> None:
    base.runbook("change", [{"argv": ["touch", "{file}"], "effect": "change"}], parameters=[
        {"name": "file", "type": "path", "default": str(base.path / "trace")}
    ])  # fmt: skip
    done = base.call("run", "change")
    assert "--yes" in done.stdout
    assert (done.returncode, (base.path / "trace").exists()) == (3, False)


def test_yes_approves_a_change(base: Base) -> None:
    base.runbook("change", [{"argv": ["touch", str(base.path / "trace")], "effect": "change"}])
    assert base.call("run", "change", "--yes").returncode == 0
    assert (base.path / "trace").exists()


def test_a_saved_run_can_be_judged_again(base: Base) -> None:
    saying(base, "ill")
    base.call("run", "talk", "--format", "json", "--output", "saved.json")
    done = base.call("run", "talk", "--replay", "saved.json")
    assert "replay of saved.json" in done.stdout
    assert done.returncode == 2


def test_a_replay_takes_what_is_set_over_what_was_recorded(base: Base) -> None:
    helper = HELPER.replace('captures["a"].stdout.decode()', 'captures.parameters["mood"]')
    base.runbook(
        "talk", [{"argv": ["true"]}], helper, parameters=[{"name": "mood", "type": "string", "default": "well"}]
    )
    base.call("run", "talk", "--format", "json", "--output", "saved.json")
    assert base.call("run", "talk", "--replay", "saved.json", "--set", "mood=ill").returncode == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "neither a sample (.yaml) nor a saved run (.json)"),
        ("[]", "not a saved run of talk"),
        ('{"schema": "other/1"}', "its schema is other/1"),
        ("\x00\xff", "neither a sample"),
    ],
)
def test_a_file_that_is_no_run_is_refused(base: Base, text: str, said: str) -> None:
    saying(base, "well")
    (base.path / "saved.json").write_text(text, encoding="latin-1")
    done = base.call("run", "talk", "--replay", "saved.json")
    assert said in done.stderr
    assert done.returncode == 64


def test_output_replaces_a_file_whole(base: Base) -> None:
    saying(base, "ill")
    (base.path / "out").write_text("old" * 100_000)
    done = base.call("run", "talk", "--output", "out", "--format", "json", "--quiet")
    assert json.loads((base.path / "out").read_text())["verdict"] == "critical"
    assert "talk: critical, saved in out" in done.stderr


def test_a_result_that_cannot_be_saved_is_shown(base: Base) -> None:
    saying(base, "ill")
    done = base.call("run", "talk", "--output", "no/such/folder/out")
    assert "broken" in done.stdout
    assert "not saved" in done.stderr
    assert done.returncode == 3


def test_a_full_standard_output_is_told(base: Base) -> None:
    saying(base, "ill")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, "run", "talk"], cwd=base.path, env=base.environment(), stdout=full, stderr=subprocess.PIPE,
            text=True, timeout=60, check=False,
        )  # fmt: skip
    assert "the result could not be written" in done.stderr
    assert done.returncode == 74


def test_who_reads_only_the_first_line_ends_it_quietly(base: Base) -> None:
    base.runbook("talk", [{"argv": ["sh", "-c", f"yes {'x' * 70} | head -c 300000"]}])
    script = f"{' '.join(COMMAND)} run talk --format json --quiet | head -1"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=base.path,
        env=base.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("{\n", "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_no_harm(base: Base, closed: str) -> None:
    saying(base, "ill")
    done = subprocess.run(
        ["bash", "-c", f"{' '.join(COMMAND)} run talk --output out {closed}"],
        cwd=base.path, env=base.environment(), timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "broken" in (base.path / "out").read_text()


def test_two_runs_at_once_do_not_disturb_each_other(base: Base) -> None:
    base.runbook("talk", [{"argv": ["sh", "-c", "echo $$; sleep 0.5; echo $$"]}])
    words = [*COMMAND, "run", "talk", "--format", "json", "--quiet"]
    runs = [subprocess.Popen(words, cwd=base.path, env=base.environment(), stdout=subprocess.PIPE) for _ in range(2)]
    said = [json.loads(run.communicate(timeout=60)[0])["captures"][0]["stdout"].split() for run in runs]
    assert all(len(set(numbers)) == 1 for numbers in said)
    assert said[0] != said[1]


def test_as_an_ordinary_user_a_step_for_root_is_told_with_its_sudo_line(base: Base) -> None:
    base.runbook("rooted", [{"argv": ["id", "-u"], "needs": {"root": True}}, {"argv": ["true"]}])
    open_to_all(base.path)
    command, more = ordinary()
    state = base.path / "state"
    state.mkdir()
    if os.geteuid() == 0:
        os.chown(state, 65534, 65534)
    environment = base.environment(**more, XDG_STATE_HOME=str(state))
    # Another user decides for themselves.
    for words in (["trust", "--yes"], ["run", "rooted"]):
        done = subprocess.run(
            [*command, *words],
            cwd=base.path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert "sudo id -u" in done.stdout
    assert "sudo runbook run rooted" in done.stdout
    assert done.returncode == 3


def test_the_run_says_where_it_is_from(base: Base) -> None:
    saying(base, "well")
    assert f"this host, {os.uname().nodename}" in base.call("run", "talk").stdout


def test_help_has_examples(base: Base) -> None:
    done = base.call("run", "--help")
    assert "runbook run lvm-inspect --lab thin-pool-full" in done.stdout
    assert done.returncode == 0


def test_a_helper_that_breaks_is_a_finding_and_no_traceback(base: Base) -> None:
    base.runbook("talk", [{"argv": ["echo", "well"]}], HELPER.replace("return captures", "return 1/0 and captures"))
    done = base.call("run", "talk")
    assert "ZeroDivisionError" in done.stdout
    assert "runbook record talk --as unreadable" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_helper_with_a_syntax_error_stops_before_anything_runs(base: Base) -> None:
    base.runbook("talk", [{"argv": ["touch", str(base.path / "trace")]}], "def parse(:\n")
    done = base.call("run", "talk")
    assert "helper.py:1:11: not Python" in done.stderr
    assert (done.returncode, (base.path / "trace").exists()) == (64, False)


def test_nothing_is_written_into_the_knowledge_base(base: Base) -> None:
    saying(base, "well")
    before = sorted(Path(base.path).rglob("*"))
    base.call("run", "talk")
    assert sorted(Path(base.path).rglob("*")) == before


def test_a_log_that_is_standard_output_is_not_replaced(base: Base) -> None:
    saying(base, "ill")
    script = f"echo old >log; {' '.join(COMMAND)} run talk --quiet --output /dev/stdout >>log"
    subprocess.run(["bash", "-c", script], cwd=base.path, env=base.environment(), timeout=60, check=False)
    text = (base.path / "log").read_text()
    assert text.startswith("old\n")
    assert "broken" in text


def test_a_long_result_passes_through_a_pipe_that_does_not_block(base: Base) -> None:
    base.runbook("talk", [{"argv": ["sh", "-c", "yes | head -c 1000000"]}])
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    words = [*COMMAND, "run", "talk", "--format", "json", "--quiet"]
    with subprocess.Popen(words, cwd=base.path, env=base.environment(), stdout=writer) as process:
        os.close(writer)
        with open(reader, "rb") as file:
            document = json.load(file)
    assert len(document["captures"][0]["stdout"]) == 1_000_000
    assert process.returncode == 0


def test_a_folder_that_is_gone_is_told(base: Base) -> None:
    script = f"mkdir gone; cd gone; rmdir ../gone; {' '.join(COMMAND)} run lvm-inspect"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=base.path,
        env=base.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "the current folder is gone" in done.stderr
    assert done.returncode == 64


def test_a_defect_of_ours_is_no_warning_to_a_scheduler(base: Base) -> None:
    saying(base, "well")
    base.call("run", "talk", "--format", "json", "--output", "saved.json")
    document = json.loads((base.path / "saved.json").read_text())
    (base.path / "saved.json").write_text(json.dumps({**document, "started": "9999-12-31T23:59:59.999999Z"}))
    assert base.call("run", "talk", "--replay", "saved.json").returncode in (0, 3)


def test_a_replay_of_an_interrupted_run_was_not_interrupted(base: Base) -> None:
    saying(base, "ill")
    base.call("run", "talk", "--format", "json", "--output", "saved.json")
    text = (base.path / "saved.json").read_text().replace('"ending": "exited"', '"ending": "interrupted"')
    (base.path / "saved.json").write_text(text.replace('"exit_code": 0', '"exit_code": null'))
    assert base.call("run", "talk", "--replay", "saved.json").returncode == 2
