"""Which way of failing the letters of a session's end stand for, and what each means (HAProxy's manual, 8.5)."""

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


def is_documented(letters: str) -> bool:
    """Whether the manual knows both letters, and that they come together: only a normal end has no state."""
    first, second = letters[:1], letters[1:2]
    return first in FIRST and second in SECOND and (first != "-" or second == "-")


@dataclass(frozen=True, slots=True)
class Fault:
    """A way of failing; `most` is False where even many are no more than worth a warning.

    `always` is for what the manual says should never happen: a single one is worth a warning.
    """

    code: str
    words: str
    most: bool
    holds: Callable[[Group], bool]
    meaning: str
    advice: str
    always: bool = False


def _ends(*starts: str) -> Callable[[Group], bool]:
    return lambda group: group.letters.startswith(starts)


def _unserved(group: Group) -> bool:
    return group.server == "<NOSRV>"


def _server_error(group: Group) -> bool:
    """An ordinary end with a 5xx of the server's own; 505 and what is marked as a websocket have their finding."""
    ordinary = group.letters[:2] == "--" and not _unserved(group)
    return ordinary and group.status[:1] == "5" and group.status != "505" and not group.mark


#: In this order; a group is the first one's that holds. Whatever ends unusually is somebody's, or is not known.
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
        # Other ends of P have their own fault, above or below.
        lambda group: group.letters.startswith("P") and group.letters[:2] not in ("PC", "PD", "PH"),
        "P says that the proxy did it. With PR no server was asked: the name of the server is `<NOSRV>`. It is a rule "
        "of haproxy.cfg (`http-request deny`, or `tarpit`: PT) or a limit, whatever the network does. With 500 a rule "
        "could not change the request's head.",
        "Find the rule:\n    grep -nE 'deny|tarpit|reject|maxconn' /etc/haproxy/haproxy.cfg",
    ),
    Fault(
        "no-server",
        "found no server that was up",
        True,
        lambda group: group.letters.startswith(("SC", "SQ")) and _unserved(group),
        "HAProxy tried to connect to nobody: all servers of the backend are down by their health checks, or it has "
        "none. That is why the answer comes in no time.",
        "See which checks fail, and why:\n"
        '    echo "show servers state" | socat stdio /run/haproxy/admin.sock\n'
        "    journalctl -u haproxy | grep -E 'is (DOWN|UP)|no server available'",
    ),
    Fault(
        "queue-full",
        "waited in the queue until HAProxy gave them up",
        True,
        _ends("sQ", "SQ"),
        "All servers had as many connections as `maxconn` allows them, for as long as `timeout queue` (or else "
        "`timeout connect`) waits. Servers that answer slowly look like that, and so does too small a `maxconn`.",
        "See how long the queues are, and how many each server may have (qcur, scur, slim):\n"
        '    echo "show stat" | socat stdio /run/haproxy/admin.sock | cut -d, -f1-7',
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
        "tcp-timeout",
        "were cut by a time-out of HAProxy in TCP mode",
        False,
        lambda group: not group.status and group.letters.startswith(("cD", "sD")),
        "Nobody said anything for as long as `timeout tunnel`, or, where there is none, `timeout client` and `timeout "
        "server` allow. A websocket that goes through in TCP mode and is silent ends like that.",
        "See which time-outs there are:\n    grep -n timeout /etc/haproxy/haproxy.cfg",
    ),
    Fault(
        "proxy-fault",
        "failed by a fault of HAProxy's own",
        True,
        _ends("R", "I", "PC"),
        "R: memory, sockets or source ports are used up, which the manual calls a very serious anomaly. PC: HAProxy "
        "may not open another socket (global `maxconn`, `ulimit -n`). I: an error inside HAProxy, which should never "
        "happen; restart it, for its memory may be damaged.",
        "See its limits and version, and what the log of the system says of it:\n"
        '    echo "show info" | socat stdio /run/haproxy/admin.sock | grep -iE "^version|max|curr"\n'
        "    ss -s\n    journalctl -u haproxy -p warning | tail",
        True,
    ),
    Fault(
        "cut-by-proxy",
        "were cut by HAProxy while they went on",
        True,
        _ends("D", "U", "K"),
        "D: a health check found the server down, and `on-marked-down shutdown-sessions` is set. U: they were on a "
        "backup server, the usual one came back, and `on-marked-up shutdown-backup-sessions` is set. K: an "
        "administrator said so (`shutdown session`). Open websockets are cut like that too.",
        "See when servers went and came, and why; for K ask who was there:\n"
        "    journalctl -u haproxy | grep -E 'is (DOWN|UP)' | tail",
    ),
    Fault(
        "server-broke",
        "were broken off by the server, or answered with what is no HTTP",
        True,
        _ends("S", "PH", "PD", "s"),
        "SH: the server ended the connection before its answer: it crashed, or something between cut it. PH: the "
        "answer was no proper HTTP, or a rule refused it. PD: it was badly cut into chunks. SD, sD: it stopped in the "
        "middle of one; of an open websocket (101), SD is a reset, by the server or something between.",
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
    Fault(
        "answered-by-proxy",
        "were answered 4xx or 5xx by HAProxy itself, as its configuration says",
        False,
        lambda group: group.letters.startswith("L") and group.status[:1] in ("4", "5"),
        "L is what HAProxy was told to answer: a login that is asked for (401), `http-request return`, a monitor's "
        "address. No server was asked.",
        "Find what says so:\n    grep -nE 'return|auth|monitor|errorfile' /etc/haproxy/haproxy.cfg",
    ),
    Fault(
        "server-errors",
        "were answered 5xx by the server",
        True,
        _server_error,
        "For HAProxy all was well, it passed on what the server said: the error is the server's own.",
        "Look at the server's own log for these times.",
    ),
)
