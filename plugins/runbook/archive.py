"""Keeps runs and samples on disk, whole or not at all, and reads them back."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from runbook.errors import ExecutionError, UsageError
from runbook.escaping import unescape
from runbook.loader.sample import dump_sample, load_sample
from runbook.model import Capture, Ending, Host, Run, Runbook, Sample, Source, Value
from runbook.redaction import Redactor
from runbook.renderers.json import SCHEMA, timestamp


@dataclass(frozen=True, slots=True)
class Recording:
    """What a replay needs: captures and the circumstances they were recorded in."""

    captures: tuple[Capture, ...]
    parameters: Mapping[str, Value]
    host: Host
    source: Source
    started: float


def save(path: str, text: str) -> None:
    """Write a file so that there is always the old or the new one, never half; raises ExecutionError in words."""
    folder = os.path.dirname(os.path.abspath(path))
    temporary = None
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            # A pipe or /dev/stdout: there is nothing to replace.
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            return
        descriptor, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=folder)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(path))
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
        raise ExecutionError(f"{path}: not saved: {error.strerror}; what was there is unchanged") from error


def _mode(path: str) -> int:
    """The mode of the file that is replaced, or what the umask leaves of 666."""
    try:
        return os.stat(path).st_mode & 0o777
    except OSError:
        mask = os.umask(0o077)
        os.umask(mask)
        return 0o666 & ~mask


def recording(path: str, runbook: Runbook) -> Recording:
    """Read a sample (.yaml) or a saved run (.json) of this runbook; raises UsageError or DefinitionError."""
    if path.endswith((".yaml", ".yml")):
        sample = load_sample(path, runbook)
        return of_sample(sample)
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: neither a sample (.yaml) nor a saved run (.json): {error}") from error
    try:
        return _of_document(_choose(document, runbook), path)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{path}: not a saved run of {runbook.name}: {type(error).__name__} {error}") from error


def sample_paths(folder: str) -> list[str]:
    """The samples in a runbook's folder, by name."""
    samples = os.path.join(folder, "samples")
    try:
        names = sorted(os.listdir(samples))
    except FileNotFoundError:
        return []
    return [os.path.join(samples, name) for name in names if name.endswith(".yaml")]


def load_samples(runbook: Runbook) -> Iterator[Sample]:
    """Every sample of a runbook; raises DefinitionError at the first that cannot be used."""
    for path in sample_paths(runbook.folder):
        yield load_sample(path, runbook)


def of_sample(sample: Sample) -> Recording:
    """What a sample recorded; its host is known only as far as the sample says."""
    said = {key: str(value) for key, value in sample.source.items()}
    host = Host(said.get("host", ""), said.get("kernel", ""), said.get("os", ""), said.get("arch", ""))
    return Recording(
        sample.captures, sample.parameters, host, Source("sample", sample.name), _date(said.get("date", ""))
    )


def _date(text: str) -> float:
    try:
        return datetime.fromisoformat(f"{text}T00:00:00+00:00").timestamp()
    except ValueError:
        return 0.0


def _choose(document: Any, runbook: Runbook) -> Any:
    documents = document if isinstance(document, list) else [document]
    for candidate in documents:
        if candidate["schema"] != SCHEMA:
            raise ValueError(f"its schema is {candidate['schema']!r}, not {SCHEMA!r}")
        if candidate["runbook"]["name"] == runbook.name:
            return candidate
    raise ValueError("it holds runs of other runbooks only")


def _of_document(document: Any, path: str) -> Recording:
    host = document["host"]
    return Recording(
        captures=tuple(_capture(capture) for capture in document["captures"]),
        parameters=dict(document["parameters"]),
        host=Host(host["name"], host["kernel"], host["os"], host["arch"]),
        source=Source("replay", os.path.basename(path)),
        started=_seconds(document["started"]),
    )


def _capture(said: Any) -> Capture:
    return Capture(
        step=str(said["step"]),
        argv=tuple(str(word) for word in said["argv"]),
        ending=Ending(said["ending"]),
        exit_code=said["exit_code"],
        stdout=unescape(said["stdout"]),
        stderr=unescape(said["stderr"]),
        started=_seconds(said["started"]),
        seconds=float(said["seconds"]),
        dropped=int(said.get("dropped", 0)),
        detail=str(said.get("detail", "")),
    )


def _seconds(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def sample_of(run: Run, case: str, title: str, tools: Mapping[str, str]) -> tuple[Sample, list[tuple[str, str]]]:
    """The run as a sample, redacted, and what was redacted as (before, after) pairs."""
    redactor = Redactor(names=(run.host.name,), users=(os.environ.get("SUDO_USER", ""), os.environ.get("USER", "")))
    captures = tuple(
        replace(
            capture,
            stdout=redactor.redact(capture.stdout),
            stderr=redactor.redact(capture.stderr),
            argv=tuple(
                redactor.redact(word.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
                for word in capture.argv
            ),
        )
        for capture in run.captures
        if capture.ending is not Ending.SKIPPED
    )
    source: dict[str, object] = {"kind": "lab" if run.source.kind == "lab" else "host"}
    if run.source.name:
        source["name"] = run.source.name
    source |= {"date": timestamp(run.started)[:10], "kernel": run.host.kernel, "os": run.host.os}
    if tools:
        source["tools"] = dict(tools)
    parameters = {
        parameter.name: run.plan.parameters[parameter.name]
        for parameter in run.plan.runbook.parameters
        if run.plan.parameters.get(parameter.name) != parameter.default and not parameter.secret
    }
    findings = {finding.code: finding.verdict for finding in reversed(run.findings)}
    return Sample(case, title, source, parameters, captures, findings), redactor.replaced


def sample_text(sample: Sample) -> str:
    """The sample as the YAML file that it is."""
    return dump_sample(sample)
