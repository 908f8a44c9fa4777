"""What a person may write: the types of values, which characters nobody can see, and which name was probably meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runbook.model import Value

#: Characters that change what a reader sees without being seen: controls (but tab and line ends), zero-width and
#: bidirectional ones, surrogates. None of them is printable to Python, so `escaping.escape` never leaves one.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
    # A carriage return ends a line only before a line feed; alone, it writes over what a terminal showed before it.
    "(?<!\r(?=\n))"
)
#: Letters and marks that show nothing although they count as printable. Prose may need them, a command never does.
BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
#: How parameters, steps, labs and findings are named: kebab-case, beginning with a letter.
NAME = "[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
#: Where a value may stand in a word; braces around anything but a declared name are left alone.
PLACEHOLDER = re.compile(r"\{(" + NAME + r")\}")

#: The codes that the engine itself gives, whatever a runbook's own are.
ENGINE_CODES = (
    *("not-found", "not-permitted", "timed-out", "signalled", "interrupted", "declined", "truncated", "unreadable"),
    *("no-verdict", "command-failed", "commands-succeeded"),
)

#: The kernel's capabilities by their bit (linux/capability.h), in lower case without `cap_`.
CAPABILITIES = (
    *("chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap"),
    *("linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner"),
    *("sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice"),
    *("sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap"),
    *("mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf"),
    "checkpoint_restore",
)

#: Those with which one can look further, and that a step which only reads may therefore ask for.
READING_CAPABILITIES = (
    *("dac_read_search", "sys_ptrace", "syslog", "perfmon", "audit_read", "net_raw", "net_admin", "sys_admin"),
)
#: Of these, those with which one can also change much: only for a command whose every word is written down.
PINNED_CAPABILITIES = ("net_admin", "sys_admin", "sys_ptrace")

_LINE_ENDS = re.compile("[\t\n\r]")

_DEVICE = re.compile(r"/dev(?:/[^/\x00-\x20]+)+")
_INTERFACE = re.compile(r"[^/:\x00-\x20\x7f\xa0]+")
_NAMESPACE = re.compile(r"[^/\x00-\x1f\x7f]+")

_INTEGER = re.compile(r"[-+]?[0-9]{1,100}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,100}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][-+]?[0-9]{1,3})?")
_AMOUNT = r"([0-9]{1,20}(?:\.[0-9]{1,15})?)"
DURATION = re.compile(
    rf"(?=.)(?:{_AMOUNT}d)?(?:{_AMOUNT}h)?(?:{_AMOUNT}m(?!s))?(?:{_AMOUNT}s)?(?:{_AMOUNT}ms)?|{_AMOUNT}"
)
_DURATION_UNITS = (86400.0, 3600.0, 60.0, 1.0, 0.001, 1.0)
#: What clocks and files can hold: the kernel counts time in nanoseconds and sizes in bytes, in 63 bits.
_LONGEST = 36500 * 86400.0
_LARGEST = 2**63 - 1
SIZE = re.compile(rf"{_AMOUNT}(?:([KMGT])(?:iB|B)?|B)?")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOSTNAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_ADDRESS = re.compile(r"[0-9.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9_.-]+)?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#]+[^\s]*")


def parse_value(type: str, text: str, choices: Sequence[str] = (), pattern: str | None = None) -> Value:
    """The value that this text stands for; `type` is one of TYPES.

    Raises ValueError with a sentence that begins with "must" and never repeats the text, which may be a secret.
    A path keeps its `~`: whose home that is, is known only where a run is prepared.
    """
    if HIDDEN.search(text) or _LINE_ENDS.search(text):
        raise ValueError("must not contain control characters, line breaks, tabs or invisible characters")
    value = _PARSERS[type](text)
    if choices and text not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}")
    if pattern is not None and not re.fullmatch(pattern, text):
        raise ValueError(f"must match the pattern {pattern}")
    return value


def duration(text: str) -> float:
    """Seconds: `20s`, `1m30s`, `500ms`, `2h`, `1d`; a plain number is seconds."""
    match = DURATION.fullmatch(text)
    if not match:
        raise ValueError("must be a duration such as 20s, 1m30s or 500ms")
    amounts = zip(match.groups(), _DURATION_UNITS, strict=True)
    # Rounded to nanoseconds, so that 300ms is 0.3 and not a neighbour of it.
    seconds = round(sum(float(amount) * unit for amount, unit in amounts if amount), 9)
    if seconds > _LONGEST:
        raise ValueError("must be at most 36500d, a hundred years")
    return seconds


def size(text: str) -> int:
    """Bytes: a plain number, or one with K, M, G or T, each alone or with `iB` or `B`.

    All of them are powers of 1024, as in LVM: 1K, 1KB and 1KiB are 1024 bytes.
    """
    match = SIZE.fullmatch(text)
    if not match:
        raise ValueError("must be a size such as 256M, 1.5GiB or 1048576 (K, M, G and T are powers of 1024)")
    amount, unit = match.groups()
    factor: int = 1024 ** " KMGT".index(unit or " ")
    amount_bytes = round(float(amount) * factor) if "." in amount else int(amount) * factor
    if amount_bytes > _LARGEST:
        raise ValueError("must be less than 8388608T, which no file can have")
    return amount_bytes


def written(value: Value) -> str:
    """A value as a word that `parse_value` reads back: seconds without a needless `.0`, no number as 1e-05."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, float) and "e" in str(value):
        from decimal import Decimal

        return format(Decimal(str(value)), "f")
    return str(value)


def nearest(name: str, known: Iterable[str]) -> str:
    """The question "did you mean …?", or an empty string when no known name is near."""
    import difflib

    near = difflib.get_close_matches(name[:100], list(known), n=1)
    return f"did you mean `{near[0]}`?" if near else ""


def shorten(text: str) -> str:
    """Text that fits into a sentence and contains nothing that a terminal would obey."""
    text = HIDDEN.sub("?", " ".join(text.split()))
    return text if len(text) <= 60 else f"{text[:57]}…"


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError("must be a whole number such as 10")
    return int(text)


def _number(text: str) -> int | float:
    """Whole numbers stay whole, so that 80 reaches a command as 80 and not as 80.0."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if not _NUMBER.fullmatch(text) or abs(float(text)) >= 1e100:
        raise ValueError("must be a number such as 80 or 2.5")
    return float(text)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


def _path(text: str) -> str:
    if not text:
        raise ValueError("must be a path, not empty")
    return text


def _host(text: str) -> str:
    """A name by RFC 1123, or an address; a name whose last part is a number would be a mistyped address."""
    name = len(text) <= 254 and _HOSTNAME.fullmatch(text) and not text.rstrip(".").rpartition(".")[2].isdigit()
    if not name and not (_ADDRESS.fullmatch(text) and _is_address(text)):
        raise ValueError("must be a host name or an address such as db1.example.org, 192.0.2.7 or 2001:db8::7")
    return text


def _is_address(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _url(text: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        whole = bool(_SCHEME.fullmatch(text) and parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        whole = False
    if not whole:
        raise ValueError("must be a URL with a scheme and a host, such as https://example.org/")
    return text


def _device(text: str) -> str:
    if not _DEVICE.fullmatch(text) or "." in (parts := text.split("/")) or ".." in parts:
        raise ValueError("must be a device below /dev, such as /dev/sda1 or /dev/mapper/vg-home")
    return text


def _interface(text: str) -> str:
    """A network device's name by the kernel's own rule (dev_valid_name: at most 15 bytes, no `/`, `:` or space)."""
    if not _INTERFACE.fullmatch(text) or text in (".", "..") or len(text.encode("utf-8", "surrogateescape")) > 15:
        raise ValueError("must be the name of a network device, such as eth0 (at most 15 bytes)")
    return text


def _namespace(text: str) -> str:
    """The name of a network namespace: of a file in /run/netns (ip-netns(8))."""
    if not _NAMESPACE.fullmatch(text) or text in (".", "..") or len(text.encode("utf-8", "surrogateescape")) > 255:
        raise ValueError("must be the name of a network namespace, as `ip netns list` shows it")
    return text


_PARSERS: dict[str, Callable[[str], Value]] = {
    "string": str,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "choice": str,
    "path": _path,
    "host": _host,
    "url": _url,
    "duration": duration,
    "size": size,
    "device": _device,
    "interface": _interface,
    "namespace": _namespace,
}

#: The types that a parameter may have.
TYPES = tuple(_PARSERS)
