"""Reads the probe's lines and sshd's settings into facts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from runbook.formats import JsonObject, Unread, complaint, json_line
from runbook.helpers import Captures, Unreadable
from runbook.model import Capture, Evidence

from .facts import Authorized, Certificate, Facts, KeyList, Place, PrivateKey

Made = TypeVar("Made")


def parse(captures: Captures) -> Facts:
    """All keys that were told, and sshd's settings if it was asked."""
    unread: list[Unread] = []
    keys = captures.ran("keys")
    lines = list(_lines(keys, unread)) if keys is not None else []
    folder = next((line for line in lines if line.get("kind") == "folder"), None)
    end = next((line for line in lines if line.get("kind") == "end"), None)
    missing = folder.evidence if folder is not None and folder.text("error") == "No such file or directory" else None
    if keys is not None and end is None and missing is None:
        last = max(keys.stdout.count(b"\n"), 1)
        unread.append(Unread("the probe did not come to its end", Evidence("keys", "stdout", last, last)))
    for line in lines:
        if line.text("error") and line.get("kind") != "authorized" and line.evidence != missing:
            what = line.text("file") or line.text("path")
            unread.append(Unread(f"{what}: {line.text('error')}", line.evidence))
        if line.get("kind") == "private" and line.get("kdf") == "unknown":
            reason = (
                f"{line.text('file')}: its key derivation is unknown, so how quick a passphrase is to guess is, too"
            )
            unread.append(Unread(reason, line.evidence))
    good = [line for line in lines if not line.text("error")]
    return Facts(
        path=str(captures.parameters.get("directory", "")),
        folder=_one(folder, _folder, unread) if folder in good else None,
        home=_one(folder, _home, unread) if folder in good else None,
        missing=missing,
        private=tuple(_sized(_all(good, "private", _private, unread), good)),
        certificates=tuple(_all(good, "certificate", _certificate, unread)),
        lists=tuple(_lists(lines, unread)),
        authorized=tuple(_all([line for line in good if line.get("line") != 0], "authorized", _authorized, unread)),
        weak_hosts=tuple(_weak_hosts(good)),
        now=_number(end, "now") if end is not None and isinstance(end.get("now"), int) else 0,
        ended=end is not None,
        settings=_settings(captures.ran("sshd"), unread),
        unread=tuple(unread),
    )


def _lines(capture: Capture, unread: list[Unread]) -> Iterator[JsonObject]:
    if capture.truncated:
        unread.append(Unread("more was printed than is kept", Evidence(capture.step, "stdout", 1, 1)))
    text = capture.stdout.decode("utf-8", "replace").removesuffix("\n")
    for number, line in enumerate(text.split("\n") if text else (), start=1):
        try:
            yield json_line(line, capture.step, number)
        except Unreadable as error:
            unread.append(Unread.because(error))


def _one(line: JsonObject | None, make: Callable[[JsonObject], Made], unread: list[Unread]) -> Made | None:
    return next(iter(_all([line], line.text("kind"), make, unread)), None) if line is not None else None


def _all(
    lines: list[JsonObject], kind: str, make: Callable[[JsonObject], Made], unread: list[Unread]
) -> Iterator[Made]:
    """What is made of each line of this kind; a line that lacks something goes to `unread`."""
    for line in lines:
        if line.get("kind") == kind:
            try:
                yield make(line)
            except ValueError:
                reason = f"line {line.first_line} is not what the probe tells"
                unread.append(Unread(reason, line.evidence))


def _number(line: JsonObject, name: str) -> int:
    value = line.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 64:
        raise ValueError(name)
    return value


def _word(line: JsonObject, name: str) -> str:
    """A text that has to be there."""
    value = line.get(name)
    if not isinstance(value, str):
        raise ValueError(name)
    return value


def _words(line: JsonObject, name: str) -> tuple[str, ...]:
    value = line.get(name, [])
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise ValueError(name)
    return tuple(value)


def _place(line: JsonObject, prefix: str = "") -> Place:
    mode = _word(line, f"{prefix}mode")
    if not re.fullmatch("[0-7]{4,5}", mode) or f"{prefix}uid" not in line:
        raise ValueError(mode)
    return Place(int(mode, 8), _number(line, f"{prefix}uid"))


def _folder(line: JsonObject) -> Place:
    return _place(line)


def _home(line: JsonObject) -> Place:
    return _place(line, "home_")


def _private(line: JsonObject) -> PrivateKey:
    encrypted = line.get("encrypted")
    if not isinstance(encrypted, bool):
        raise ValueError("encrypted")
    kdf, rounds = _word(line, "kdf"), _number(line, "rounds")
    if encrypted and kdf == "bcrypt" and not rounds:
        raise ValueError("rounds")
    return PrivateKey(
        file=_word(line, "file"),
        place=_place(line),
        format=_word(line, "format"),
        type=_word(line, "type"),
        bits=_number(line, "bits"),
        encrypted=encrypted,
        kdf=kdf,
        rounds=rounds,
        fingerprint=line.text("fingerprint"),
        evidence=line.evidence,
    )


def _sized(keys: Iterator[PrivateKey], lines: list[JsonObject]) -> Iterator[PrivateKey]:
    """Where the header of a key is encrypted, too, the public part beside it tells what it is."""
    public = {line.text("file"): line for line in lines if line.get("kind") == "public"}
    for key in keys:
        beside = public.get(f"{key.file}.pub")
        other = beside is not None and key.type and not beside.text("type").startswith(key.type)
        if (key.type and key.bits) or beside is None or other:
            yield key
        else:
            yield replace(key, type=beside.text("type"), bits=_number(beside, "bits"))


def _certificate(line: JsonObject) -> Certificate:
    host, until = line.get("host"), line.get("until")
    if not isinstance(host, bool) or "until" not in line:
        raise ValueError("host")
    end = None if until is None else _number(line, "until")
    return Certificate(_word(line, "file"), host, _word(line, "id"), _words(line, "principals"), end, line.evidence)


def _authorized(line: JsonObject) -> Authorized:
    return Authorized(
        file=_word(line, "file"),
        line=_number(line, "line"),
        type=_word(line, "type"),
        bits=_number(line, "bits"),
        fingerprint=_word(line, "fingerprint"),
        options=_words(line, "options"),
        comment=_word(line, "comment"),
        expires=line.text("expires"),
        evidence=line.evidence,
    )


def _lists(lines: list[JsonObject], unread: list[Unread]) -> Iterator[KeyList]:
    """Each authorized_keys file once, with the lines that hold no key."""
    by_file: dict[str, list[JsonObject]] = {}
    for line in lines:
        if line.get("kind") == "authorized":
            by_file.setdefault(line.text("file"), []).append(line)
    for file, own in by_file.items():
        place = _one(own[0], lambda line: _place(line), unread)
        if place is None:
            continue
        invalid = tuple(
            (_number(line, "line"), line.text("error"), line.evidence)
            for line in own
            if line.text("error") and isinstance(line.get("line"), int)
        )
        yield KeyList(file, place, invalid, own[0].evidence)


def _weak_hosts(lines: list[JsonObject]) -> Iterator[tuple[str, int, Evidence]]:
    for line in lines:
        weak = line.get("weak") if line.get("kind") == "known-hosts" else None
        for number in weak if isinstance(weak, list) else ():
            if isinstance(number, int):
                yield line.text("file"), number, line.evidence


def _settings(capture: Capture | None, unread: list[Unread]) -> tuple[tuple[str, str, Evidence], ...] | None:
    """`sshd -T`: a name in lower case, a blank, its value; the whole of it or nothing."""
    if capture is None:
        return None
    if capture.exit_code != 0:
        reason = complaint(capture) or Unreadable("`sshd -T` failed and did not say why", capture.step)
        if b"Missing privilege separation directory" in capture.stderr:
            said = f"{reason}: sshd was never started here; cure: systemctl start ssh, or mkdir /run/sshd"
            reason = Unreadable(said, capture.step, reason.evidence.first_line, "stderr")
        unread.append(Unread.because(reason))
        return None
    found = []
    for number, line in enumerate(capture.stdout.decode("utf-8", "replace").split("\n"), start=1):
        name, _, value = line.strip().partition(" ")
        if name:
            found.append((name.lower(), value.strip(), Evidence(capture.step, "stdout", number, number)))
    names = {name for name, _, _ in found}
    needed = {"passwordauthentication", "permitrootlogin", "pubkeyacceptedalgorithms", "permitemptypasswords"}
    needed |= {"strictmodes", "permituserenvironment", "ignorerhosts", "pubkeyauthentication", "usepam"}
    needed |= {"hostbasedauthentication"}
    # Before OpenSSH 8.5 it had another name.
    lost = needed - names - ({"pubkeyacceptedalgorithms"} if "pubkeyacceptedkeytypes" in names else set())
    if lost or not capture.stdout.endswith(b"\n"):
        last = max(capture.stdout.count(b"\n"), 1)
        missing = f"; {', '.join(sorted(lost))} is missing" if lost else ""
        unread.append(Unread(f"sshd's settings are not whole{missing}", Evidence(capture.step, "stdout", last, last)))
    return tuple(found)
