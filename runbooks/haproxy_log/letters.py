"""Which way of failing the letters of a session's end stand for, and what each of them means (HAProxy's manual, "
"8.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .facts import Group

#: The first letter: who, or what, ended the session first.
FIRST = {
    "C": "the client ended the connection",
    "S": "the server ended or refused the connection",
    "P": "HAProxy itself ended it: a rule, a limit, or something that it could not read",
    "L": "HAProxy answered it itself, and that was meant",
    "R": "a resource of HAProxy was used up: memory, ports, file descriptors",
    "I": "an error inside HAProxy",
    "D": "HAProxy ended it because the server went down",
    "U": "HAProxy ended it on a backup server because the usual one came back",
    "K": "an administrator ended it",
    "c": "the client said nothing for as long as `timeout client` or `timeout tunnel` allows",
    "s": "the server said nothing for as long as `timeout server`, `timeout connect` or `timeout tunnel` allows",
    "-": "nothing unusual",
}
#: The second letter: what HAProxy was doing then.
SECOND = {
    "R": "while it waited for the request",
    "Q": "while the request waited in the queue for a free place at a server",
    "C": "while it connected to the server",
    "H": "while it waited for the answer's head",
    "D": "while data went through",
    "L": "while the last data went to the client",
    "T": "while the request was held back on purpose (tarpit)",
    "-": "after all was done",
}


def explained(letters: str) -> str:
    """The first two letters in words, as far as they are known."""
    first, second = FIRST.get(letters[:1]), SECOND.get(letters[1:2])
    if first is None or second is None:
        return f"`{letters}` is a way of ending that HAProxy's manual does not know"
    return f"`{letters}`: {first}" + (f", {second}" if letters[:2] != "--" else "")


@dataclass(frozen=True, slots=True)
class Fault:
    """A way of failing; `most` is False where even many are no more than worth a warning."""

    code: str
    words: str
    most: bool
    holds: Callable[[Group], bool]
    meaning: str
    advice: str


def _ends(*starts: str) -> Callable[[Group], bool]:
    return lambda group: group.letters.startswith(starts)


def _unserved(group: Group) -> bool:
    return group.server == "<NOSRV>"


#: In this order; a group is the first one's that holds.
FAULTS = (
    Fault(
        "bad-request",
        "were no request that HAProxy could read, or none that came in time",
        True,
        lambda group: group.mark == "bad request",
        "The log has `<BADREQ>` in place of the request. With 400 it was malformed; since HAProxy 2.4 that is also "
        "what a websocket's request without a valid Sec-WebSocket-Key is. With 408, or the letters cR and CR, it "
        "never came to its end: a scanner, a client that connects early, or a load balancer that only looks whether "
        "the port is open.",
        "Ask HAProxy for the last request that it could not read, byte by byte:\n"
        '    echo "show errors" | socat stdio /run/haproxy/admin.sock',
    ),
    Fault(
        "denied-by-proxy",
        "were refused by HAProxy itself",
        True,
        lambda group: group.letters.startswith("PR") and _unserved(group),
        "No server was asked: the name of the server is `<NOSRV>`, and P says that the proxy did it. It is a rule of "
        "haproxy.cfg (`http-request deny`), whatever the network does.",
        "Find the rule:\n    grep -nE 'deny|tarpit|reject' /etc/haproxy/haproxy.cfg",
    ),
    Fault(
        "no-server",
        "found no server that was up",
        True,
        lambda group: group.letters.startswith(("SC", "SQ", "sQ")) and _unserved(group),
        "HAProxy tried to connect to nobody: all servers of the backend are down by their health checks, or it has "
        "none. That is why the answer comes in no time.",
        "See which checks fail, and why:\n"
        '    echo "show servers state" | socat stdio /run/haproxy/admin.sock\n'
        "    journalctl -u haproxy | grep -E 'is (DOWN|UP)|no server available'",
    ),
    Fault(
        "server-refused",
        "were refused by the server's host",
        True,
        _ends("SC"),
        "The connection was answered with a reset: nothing listens there, or a firewall rejects. HAProxy tried again "
        "as often as `retries` says; that is what takes the time.",
        "On the server, see whether anything listens, and on which address:\n    ss -ltn",
    ),
    Fault(
        "server-silent",
        "had no answer from the server in time",
        True,
        _ends("sC", "sH"),
        "With sC the connection itself was never answered: a firewall that drops, a wrong address, a host that is "
        "gone. With sH it was, and the answer took longer than `timeout server`.",
        "Time both by hand, from the proxy's host:\n    curl -so /dev/null -w '%{time_connect} "
        "%{time_starttransfer}\\n' http://SERVER:PORT/",
    ),
    Fault(
        "server-broke",
        "were broken off by the server, or answered with what is no HTTP",
        True,
        _ends("SH", "SD", "SL", "PH", "sD--", "sL"),
        "SH: the server ended the connection before its answer: it crashed, or something between cut it. PH: the "
        "answer was no proper HTTP, or a rule refused it. SD, sD: it stopped in the middle of one.",
        "Look at the server's own log for that second, and for PH at what it said:\n"
        '    echo "show errors" | socat stdio /run/haproxy/admin.sock',
    ),
    Fault(
        "client-gone",
        "were left by the client before all was said",
        False,
        _ends("C", "c"),
        "People close pages, and phones change networks: some of it is always there. When it is much, or began on a "
        "day, look at what stands before HAProxy: a load balancer or firewall that cuts, or answers so slow that "
        "nobody waits.",
        "See how long they waited before they left; the last timer is the whole time in ms:\n"
        "    grep -E ' (C|c)[RQCHDL]-- ' /var/log/haproxy.log | tail",
    ),
)
