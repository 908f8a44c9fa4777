"""Keeps runs and samples on disk, whole or not at all, and reads them back."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import NoneType
from typing import Any

from runbook.errors import ExecutionError, UsageError
from runbook.escaping import unescape
from runbook.loader.sample import dump_sample, load_sample
from runbook.model import Capture, Ending, Host, Parameter, Run, Runbook, Sample, Source, Value
from runbook.redaction import Redactor
from runbook.renderers.json import SCHEMA, timestamp
from runbook.resolver import defaults
from runbook.values import parse_value, shorten, written


@dataclass(frozen=True, slots=True)
class Recording:
    """What a replay needs: captures and the circumstances they were recorded in."""

    captures: tuple[Capture, ...]
    parameters: Mapping[str, Value]
    host: Host
    source: Source
    started: float


def state_folder() -> str:
    """Where what this user's runs leave behind is kept (XDG Base Directory Specification: state)."""
    base = os.environ.get("XDG_STATE_HOME", "")
    base = base if os.path.isabs(base) else os.path.expanduser("~/.local/state")
    return os.path.join(base, "runbook")


def save(path: str, text: Iterable[str]) -> None:
    """Write these pieces of text so that there is always the old file or the new one, never half.

    Raises ExecutionError in words.
    """
    data = (piece.encode("utf-8", "backslashreplace") for piece in text)
    try:
        if os.path.abspath(path).startswith(("/dev/", "/proc/")) or (os.path.exists(path) and not os.path.isfile(path)):
            # A pipe, or /dev/stdout, which may be a log: there is nothing to replace.
            with open(path, "ab") as file:
                file.writelines(data)
        else:
            # A symbolic link stays one: what it points to is replaced.
            _replace(os.path.realpath(path), data)
    except OSError as error:
        raise ExecutionError(f"{path}: not saved: {error.strerror}; what was there is unchanged") from error


def _replace(path: str, data: Iterable[bytes]) -> None:
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor, temporary = _create(os.path.dirname(path))
        try:
            with open(descriptor, "wb") as file:
                file.writelines(data)
                file.flush()
                os.fsync(file.fileno())
                _give_rights(file.fileno(), path)
                if not temporary:
                    temporary = f".runbook-{os.urandom(8).hex()}"
                    # With a folder to be relative to, or Python would link the link in /proc (linkat(2)).
                    os.link(f"/proc/self/fd/{file.fileno()}", temporary, dst_dir_fd=folder)
            os.replace(temporary, path, src_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
    finally:
        os.close(folder)


def _create(folder: str) -> tuple[int, str]:
    """A new file in this folder, and its name: none yet where the file system can do that, so that nothing is left of
    it if we are killed while we write."""
    try:
        return os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600), ""
    except OSError:
        descriptor, temporary = tempfile.mkstemp(prefix=".runbook-", dir=folder)
        return descriptor, os.path.basename(temporary)


def _give_rights(descriptor: int, path: str) -> None:
    """The mode, and for root the owner, of the file that is replaced; for a new one what the umask leaves of 666."""
    try:
        before = os.stat(path)
    except FileNotFoundError:
        mask = os.umask(0o077)
        os.umask(mask)
        os.fchmod(descriptor, 0o666 & ~mask)
        return
    os.fchmod(descriptor, before.st_mode & 0o777)
    if os.geteuid() == 0:
        os.fchown(descriptor, before.st_uid, before.st_gid)


def recording(path: str, runbook: Runbook) -> Recording:
    """Read a sample (.yaml) or a saved run (.json) of this runbook; raises UsageError or DefinitionError."""
    if path.endswith((".yaml", ".yml")):
        sample = load_sample(path, runbook)
        return of_sample(sample)
    try:
        # A byte-order mark is what some editors put before what was pasted into them.
        with open(path, encoding="utf-8-sig") as file:
            document = json.load(file)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: neither a sample (.yaml) nor a saved run (.json): {error}") from error
    try:
        return _of_document(_choose(document, runbook), path, runbook)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{path}: not a saved run of {runbook.name}: {error}") from error


def sample_paths(folder: str) -> list[str]:
    """The samples in a runbook's folder, by name."""
    samples = os.path.join(folder, "samples")
    try:
        names = sorted(os.listdir(samples))
    except FileNotFoundError:
        return []
    return [os.path.join(samples, name) for name in names if name.endswith(".yaml")]


def case_name(path: str) -> str:
    """What the sample in this file is called."""
    return os.path.splitext(os.path.basename(path))[0]


def load_samples(runbook: Runbook) -> Iterator[Sample]:
    """Every sample of a runbook; raises DefinitionError at the first that cannot be used."""
    for path in sample_paths(runbook.folder):
        yield load_sample(path, runbook)


def of_sample(sample: Sample) -> Recording:
    """What a sample recorded; its host is known only as far as the sample says."""
    said = {key: str(value) for key, value in sample.source.items()}
    host = Host(said.get("host", ""), said.get("kernel", ""), said.get("os", ""), said.get("arch", ""))
    tools = sample.source.get("tools")
    versions = tools.items() if isinstance(tools, Mapping) else ()
    source = Source("sample", sample.name, _origin(said), tuple((str(name), str(text)) for name, text in versions))
    return Recording(sample.captures, sample.parameters, host, source, _date(said.get("date", "")))


def _origin(said: Mapping[str, str]) -> str:
    """How a sample came to be, in words that follow "recorded"."""
    edited = " and edited" if said.get("edit") else ""
    if said.get("kind") == "lab":
        return f"in lab {said['name']}{edited}" if said.get("name") else f"in a lab{edited}"
    return f"on a host{edited}" if said.get("kind") == "host" else f"elsewhere{edited}"


def _date(text: str) -> float:
    try:
        return datetime.fromisoformat(f"{text}T00:00:00+00:00").timestamp()
    except ValueError:
        return 0.0


def _choose(document: Any, runbook: Runbook) -> Any:
    for candidate in document if isinstance(document, list) else [document]:
        schema = _field(candidate, "schema", str)
        if schema != SCHEMA:
            raise ValueError(f"its schema is {shorten(schema)}, not {SCHEMA}")
        if _field(_field(candidate, "runbook", dict), "name", str) == runbook.name:
            return candidate
    raise ValueError("it holds no run of this runbook")


def _field(said: Any, name: str, *types: type) -> Any:
    """A field of an object, of one of these types exactly; raises ValueError in words."""
    if not isinstance(said, dict) or name not in said:
        raise ValueError(f"`{name}` is missing")
    if type(said[name]) not in types:
        raise ValueError(f"`{name}` cannot be {shorten(json.dumps(said[name]))}")
    return said[name]


def _of_document(document: Any, path: str, runbook: Runbook) -> Recording:
    host = _field(document, "host", dict)
    return Recording(
        captures=tuple(_capture(capture) for capture in _field(document, "captures", list)),
        parameters=dict(_parameters(_field(document, "parameters", dict), runbook)),
        host=Host(*(_field(host, name, str) for name in ("name", "kernel", "os", "arch"))),
        source=Source("replay", os.path.basename(path)),
        started=_moment(_field(document, "started", str, NoneType)),
    )


def _parameters(said: dict[str, Any], runbook: Runbook) -> Iterator[tuple[str, Value]]:
    """The values of the parameters that the runbook still has; a secret was not saved."""
    for parameter in runbook.parameters:
        if parameter.name in said and not parameter.secret:
            value = _field(said, parameter.name, str, int, float, bool)
            try:
                yield parameter.name, parse_value(parameter.type, written(value))
            except ValueError as error:
                raise ValueError(f"parameter `{parameter.name}` {error}") from error


def _capture(said: Any) -> Capture:
    ending = Ending(_field(said, "ending", str))
    exit_code = _field(said, "exit_code", int, NoneType)
    if (exit_code is None) is (ending is Ending.EXITED):
        raise ValueError(f"`exit_code` cannot be {exit_code} where `ending` is {ending}")
    optional = {"dropped": 0, "detail": "", "sandbox": "", **said}
    return Capture(
        step=_field(said, "step", str),
        argv=_words(_field(said, "argv", list)),
        ending=ending,
        exit_code=exit_code,
        stdout=unescape(_field(said, "stdout", str)),
        stderr=unescape(_field(said, "stderr", str)),
        started=_moment(_field(said, "started", str, NoneType)),
        seconds=_duration(_field(said, "seconds", int, float)),
        # Of a run that only says that something is missing it is not known how much.
        dropped=max(_field(optional, "dropped", int), int(_field(said, "truncated", bool))),
        detail=_exact(_field(optional, "detail", str)),
        sandbox=_exact(_field(optional, "sandbox", str)),
    )


def _words(said: list[Any]) -> tuple[str, ...]:
    if not said or not all(isinstance(word, str) for word in said):
        raise ValueError("`argv` must be the words of a command")
    return tuple(_exact(word) for word in said)


def _exact(text: str) -> str:
    return unescape(text).decode("utf-8", "surrogateescape")


def _duration(seconds: float) -> float:
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"`seconds` cannot be {seconds}")
    return float(seconds)


def _moment(text: str | None) -> float:
    if text is None:
        return 0.0
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).timestamp()


#: Where a runbook's folder says that its labs passed.
PASSED = os.path.join("labs", "passed.json")


@dataclass(frozen=True, slots=True)
class Passed:
    """That every lab of a runbook gave what it must: on which day (ISO 8601), of which digest, on which releases."""

    date: str
    digest: str
    os: str
    kernel: str
    tools: Mapping[str, str]


def save_passed(runbook: Runbook, passed: Passed) -> str:
    """Write it into the runbook's folder; gives the path. Raises ExecutionError."""
    path = os.path.join(runbook.folder, PASSED)
    said = {"date": passed.date, "digest": passed.digest, "os": passed.os, "kernel": passed.kernel}
    save(path, [json.dumps({**said, "tools": dict(passed.tools)}, indent=2, ensure_ascii=False), "\n"])
    return path


def load_passed(runbook: Runbook) -> Passed | None:
    """What the runbook's folder says, if anything; raises UsageError when it makes no sense."""
    path = os.path.join(runbook.folder, PASSED)
    try:
        with open(path, encoding="utf-8") as file:
            said = json.load(file)
        date, digest, system, kernel = (_field(said, name, str) for name in ("date", "digest", "os", "kernel"))
        tools = {str(name): str(version) for name, version in _field(said, "tools", dict).items()}
        return Passed(date, digest, system, kernel, tools)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        cure = f"write it again: runbook test {runbook.name} --labs --keep"
        raise UsageError(f"{path}: cannot be used: {error}\n    {cure}") from error


def sample_of(run: Run, case: str, title: str, tools: Mapping[str, str]) -> tuple[Sample, list[tuple[str, str]]]:
    """The run as a sample, redacted, and what was redacted as (before, after) pairs."""
    in_lab = run.source.kind == "lab"
    # The host of a lab is called what the lab is called, and that identifies nobody.
    names = () if in_lab else (run.host.name,)
    redactor = Redactor(names, users=(os.environ.get("SUDO_USER", ""), os.environ.get("USER", "")))
    captures = tuple(_redacted(capture, redactor) for capture in run.captures if capture.ending is not Ending.SKIPPED)
    source: dict[str, object] = {"kind": "lab" if in_lab else "host"}
    if run.source.name:
        source["name"] = run.source.name
    source |= {"date": timestamp(run.started)[:10], "kernel": run.host.kernel, "os": run.host.os}
    if tools:
        source["tools"] = dict(tools)
    values, usual = run.plan.parameters, defaults(run.plan.runbook)
    parameters = {
        parameter.name: _redacted_value(values[parameter.name], parameter, redactor)
        for parameter in run.plan.runbook.parameters
        if values.get(parameter.name) != usual.get(parameter.name) and not parameter.secret
    }
    findings = {finding.code: finding.verdict for finding in reversed(run.findings)}
    return Sample(case, title, source, parameters, captures, findings), redactor.replaced


def redacted(recorded: Recording, redactor: Redactor) -> Recording:
    """The recording with tokens for what identifies a host or a person."""
    host = replace(recorded.host, name=_redacted_text(recorded.host.name, redactor))
    captures = tuple(_redacted(capture, redactor) for capture in recorded.captures)
    return replace(recorded, host=host, captures=captures)


def _redacted(capture: Capture, redactor: Redactor) -> Capture:
    return replace(
        capture,
        stdout=redactor.redact(capture.stdout),
        stderr=redactor.redact(capture.stderr),
        argv=tuple(_redacted_text(word, redactor) for word in capture.argv),
        detail=_redacted_text(capture.detail, redactor),
    )


def _redacted_text(text: str, redactor: Redactor) -> str:
    return redactor.redact(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def _redacted_value(value: Value, parameter: Parameter, redactor: Redactor) -> Value:
    return _redacted_text(value, redactor) if parameter.type != "choice" and isinstance(value, str) else value


def sample_text(sample: Sample) -> str:
    """The sample as the YAML file that it is."""
    return dump_sample(sample)
