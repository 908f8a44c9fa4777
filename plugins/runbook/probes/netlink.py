"""What the kernel says of the network namespace that we are in, asked through netlink sockets by way of pyroute2.

Each question gives the fields of one line. Only what a map is drawn from is told: of the routes those that lead on, of
the sockets those that listen or are on BGP's port; of the others, how many. No question asks for a socket's extensions:
one of them would tell root the keys of BGP sessions (TCP-MD5).
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterator, Mapping, Set
from ipaddress import IPv6Address
from socket import AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP, inet_ntop
from typing import Any

from pyroute2 import config
from pyroute2.iproute.linux import IPRoute
from pyroute2.netlink.diag import SOCK_DIAG_BY_FAMILY, SS_ALL, DiagSocket, inet_diag_req
from pyroute2.netlink.exceptions import NetlinkDecodeError, NetlinkError

# Answers come one by one: there may be a million routes.
config.nlm_generator = True

#: How many routes or sockets are read at most in one namespace: ten thousand take a second.
MOST = 200_000
#: How many routes of each table are told beside its default ones, and how many neighbours that do not answer.
TOLD = 10
#: How many sockets are told.
TOLD_SOCKETS = 20_000
BGP = 179
#: How often a list is asked for again that changed while it was told.
TRIES = 5

# linux/netlink.h
_NLMSG_ERROR, _NLMSG_DONE, _NLM_F_REQUEST, _NLM_F_DUMP, _NLM_F_DUMP_INTR = 2, 3, 0x1, 0x300, 0x10
# linux/if.h
_IFF_UP, _IFF_LOOPBACK, _IFF_LOWER_UP = 0x1, 0x8, 0x10000
# linux/rtnetlink.h
_RTN_UNICAST, _RTM_F_CLONED = 1, 0x200
_TABLES = {253: "default", 254: "main", 255: "local"}
_SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
# linux/neighbour.h
_NUD_FAILED, _NUD_NOARP = 0x20, 0x40
#: net/tcp_states.h, as ss(8) calls them.
_STATES = (
    *("UNKNOWN", "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSED", "CLOSE-WAIT"),
    *("LAST-ACK", "LISTEN", "CLOSING", "NEW-SYN-RECV"),
)
_CLOSED = 7

Fields = dict[str, Any]


class Changed(OSError):
    """A list changed while it was told, so that something may be missing or there twice."""


def questions(files: Mapping[int, int]) -> Iterator[tuple[str, Callable[[], Fields]]]:
    """Every question about the namespace that we are in now; `files` has a descriptor for each other, by inode."""
    names: dict[int, str] = {}
    others: set[int] = set()

    def links() -> Fields:
        found = _of_routing(_links)
        names.update((link["index"], link["name"]) for link in found["links"])
        others.update(link["other_id"] for link in found["links"] if link.get("other_id", -1) >= 0)
        return found

    yield "links", links
    yield "routes", lambda: _of_routing(lambda asked: _routes(asked, names))
    yield "neighbours", lambda: _of_routing(_neighbours)
    yield "sockets", lambda: _again(lambda: _sockets(names))
    yield "forwarding", forwarding
    # Last: the kernel gives a namespace its number when a link is first listed whose other end is in there.
    yield "ids", lambda: _of_routing(lambda asked: _ids(asked, files, others))


def _of_routing(ask: Callable[[IPRoute], Fields]) -> Fields:
    def once() -> Fields:
        with IPRoute() as asked:
            _heed(asked.marshal)
            return ask(asked)

    return _again(once)


def _again(ask: Callable[[], Fields]) -> Fields:
    """What this gives; raises OSError where the kernel refuses or what it says makes no sense."""
    for left in reversed(range(TRIES)):
        try:
            return ask()
        except Changed:
            if not left:
                raise
        except NetlinkError as error:
            raise OSError(error.code, os.strerror(error.code)) from error
        except (NetlinkDecodeError, struct.error, LookupError, TypeError, ValueError) as error:
            raise OSError(errno.EBADMSG, f"an answer that is not understood ({error!r})") from error
    raise AssertionError


def _heed(marshal: Any) -> None:
    """Have a list that ends with an error, or that changed while it was told, raise OSError.

    pyroute2 takes both for the end of the list: where the kernel has no tcp_diag, there would seem to be no sockets.
    """
    read = marshal.parse_one_message

    def heeded(key: int, flags: int, number: int, data: bytes, offset: int, length: int) -> Any:
        (kind,) = struct.unpack_from("=H", data, offset + 4)
        if kind in (_NLMSG_ERROR, _NLMSG_DONE) and length >= 20:
            (code,) = struct.unpack_from("=i", data, offset + 16)
            if code < 0:
                raise OSError(-code, os.strerror(-code))
        if kind != _NLMSG_ERROR and flags & _NLM_F_DUMP_INTR:
            raise Changed(errno.EINTR, "it changed while it was told, again and again")
        return read(key, flags, number, data, offset, length)

    marshal.parse_one_message = heeded


def _links(asked: IPRoute) -> Fields:
    """{"links": [{"index": 2, "name": "et1", "kind": "veth", "up": true, "carrier": true, "other_index": 3,
    "other_id": 0, "addresses": [["10.0.12.1", 30, "global"]]}]}; `master` and `table` (of a VRF) where there are."""
    found: dict[int, Fields] = {}
    for link in asked.get_links():
        info = link.get_attr("IFLA_LINKINFO")
        data = info.get_attr("IFLA_INFO_DATA") if info else None
        kind = (info.get_attr("IFLA_INFO_KIND") if info else "") or ""
        flags = link["flags"]
        told: Fields = {
            "index": link["index"],
            "name": _text(link.get_attr("IFLA_IFNAME")),
            "kind": "loopback" if flags & _IFF_LOOPBACK else kind,
            "up": bool(flags & _IFF_UP),
            "carrier": bool(flags & _IFF_LOWER_UP),
        }
        more = {
            "other_index": link.get_attr("IFLA_LINK"),
            "other_id": link.get_attr("IFLA_LINK_NETNSID"),
            "master": link.get_attr("IFLA_MASTER"),
            "table": data.get_attr("IFLA_VRF_TABLE") if kind == "vrf" and data else None,
        }
        told |= {key: value for key, value in more.items() if value is not None}
        found[told["index"]] = {**told, "addresses": []}
    for address in asked.get_addr():
        # Of a point-to-point link the other is the far end's.
        ip = address.get_attr("IFA_LOCAL") or address.get_attr("IFA_ADDRESS")
        link = found.get(address["index"])
        if ip is not None and link is not None:
            scope = _SCOPES.get(address["scope"], str(address["scope"]))
            link["addresses"].append([ip, address["prefixlen"], scope])
    return {"links": list(found.values())}


def _routes(asked: IPRoute, names: Mapping[int, str]) -> Fields:
    """{"routes": [{"to": "default", "table": "main", "via": "198.51.100.1", "link": "et2"}]}"""
    found: list[Fields] = []
    told: dict[str, int] = {}
    count = 0
    for family in (AF_INET, AF_INET6):
        for route in asked.get_routes(family=family):
            count += 1
            if count > MOST:
                raise OSError(errno.E2BIG, f"more than {MOST} routes")
            # Where there is no IPv6, the kernel tells the others again; and copies of routes are none.
            if route["family"] != family or route["type"] != _RTN_UNICAST or route["flags"] & _RTM_F_CLONED:
                continue
            number = route.get_attr("RTA_TABLE") or route["table"]
            table = _TABLES.get(number, str(number))
            to = f"{route.get_attr('RTA_DST')}/{route['dst_len']}" if route["dst_len"] else "default"
            for hop, link in _hops(route):
                if to == "default" or (hop and told.get(table, 0) < TOLD):
                    told[table] = told.get(table, 0) + (to != "default")
                    found.append({"to": to, "table": table, "via": hop, "link": names.get(link, "")})
    return {"routes": found}


def _hops(route: Any) -> Iterator[tuple[str, int]]:
    """Each gateway of a route (empty where the other end is on the link itself) and the link to it (0: not told)."""
    for hop in route.get_attr("RTA_MULTIPATH") or (route,):
        via = hop.get_attr("RTA_VIA")
        gateway = hop.get_attr("RTA_GATEWAY") or (via["addr"] if via else "")
        yield gateway, (hop.get_attr("RTA_OIF") if hop is route else hop["oif"]) or 0


def _neighbours(asked: IPRoute) -> Fields:
    """{"known": 3, "failed": ["10.7.0.99"]}: without those that need no answer, as `ip neighbour` leaves them out."""
    entries = [
        entry
        for entry in asked.get_neighbours()
        if entry["family"] in (AF_INET, AF_INET6) and entry["state"] & ~_NUD_NOARP
    ]
    failed = [str(entry.get_attr("NDA_DST")) for entry in entries if entry["state"] & _NUD_FAILED]
    return {"known": len(entries), "failed": failed[:TOLD]}


def _sockets(names: Mapping[int, str]) -> Fields:
    """{"sockets": [{"protocol": "tcp", "state": "ESTAB", "local": "10.0.12.1", "port": 41179, "peer": "10.0.12.2",
    "peer_port": 179, "link": "blue"}], "others": 12}: those that listen, each once, and those on BGP's port."""
    told: dict[tuple[object, ...], Fields] = {}
    others = 0
    for count, (protocol, state, local, port, peer, far, link) in enumerate(_every_socket()):
        if count == MOST:
            raise OSError(errno.E2BIG, f"more than {MOST} sockets")
        words = "UNCONN" if (protocol, state) == ("udp", _CLOSED) else _STATES[state]
        listens = words == "LISTEN" or (words == "UNCONN" and not far)
        if not listens and not (protocol == "tcp" and BGP in (port, far)):
            others += 1
            continue
        found = {"protocol": protocol, "state": words, "local": _address(local), "port": port}
        found |= {"peer": _address(peer), "peer_port": far, "link": names.get(link, "")}
        told.setdefault(tuple(found.values()), found)
        if len(told) > TOLD_SOCKETS:
            raise OSError(errno.E2BIG, f"more than {TOLD_SOCKETS} sockets that listen or are on port {BGP}")
    return {"sockets": list(told.values()), "others": others}


#: Protocol, state, local address and port, the peer's, and the number of the link that it is bound to.
_Socket = tuple[str, int, str, int, str, int, int]


def _every_socket() -> Iterator[_Socket]:
    for protocol, number in (("tcp", IPPROTO_TCP), ("udp", IPPROTO_UDP)):
        for family, suffix in ((AF_INET, ""), (AF_INET6, "6")):
            try:
                yield from _diagnosed(family, protocol, number)
            except FileNotFoundError:
                # A kernel without tcp_diag or udp_diag; ss(8) reads this table then, too.
                yield from _from_table(family, protocol, f"/proc/self/net/{protocol}{suffix}")


def _diagnosed(family: int, protocol: str, number: int) -> Iterator[_Socket]:
    """By sock_diag(7); not by pyroute2's get_sock_stats, which keeps them all at once."""
    with DiagSocket() as asked:
        _heed(asked.marshal)
        request = inet_diag_req()
        request["sdiag_family"], request["sdiag_protocol"], request["idiag_states"] = family, number, SS_ALL
        for one in asked.nlm_request(request, SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST | _NLM_F_DUMP):
            if one["idiag_family"] == family:
                local, peer = (one["idiag_src"], one["idiag_sport"]), (one["idiag_dst"], one["idiag_dport"])
                yield (protocol, one["idiag_state"], *local, *peer, one["idiag_if"])


def _from_table(family: int, protocol: str, path: str) -> Iterator[_Socket]:
    """By proc_pid_net(5), which does not tell the link that a socket is bound to:

    sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
     0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1289 1 …
    """
    try:
        with open(path) as file:
            lines = file.readlines()[1:]
    except FileNotFoundError:
        # There is no IPv6. Of the other there is always one.
        if family == AF_INET:
            raise
        return
    for line in lines:
        ends = []
        for word in line.split()[1:3]:
            address, _, port = word.partition(":")
            # Words of 32 bits, each in the order of this machine.
            packed = b"".join(struct.pack("=I", int(address[at : at + 8], 16)) for at in range(0, len(address), 8))
            ends.append((inet_ntop(family, packed), int(port, 16)))
        yield (protocol, int(line.split()[3], 16), *ends[0], *ends[1], 0)


def _address(word: str) -> str:
    """An IPv4 address that is held by a socket of both families is that one."""
    mapped = IPv6Address(word).ipv4_mapped if word.startswith("::ffff:") else None
    return str(mapped or word)


def forwarding() -> Fields:
    """{"ipv4": 1, "ipv6": 0}, the latter where there is IPv6: /proc/sys/net is that of whoever opens it."""
    found = {}
    for name, path in (("ipv4", "ipv4/ip_forward"), ("ipv6", "ipv6/conf/all/forwarding")):
        try:
            with open(f"/proc/sys/net/{path}") as file:
                found[name] = int(file.read())
        except FileNotFoundError:
            if name == "ipv4":
                raise
        except ValueError as error:
            raise OSError(errno.EBADMSG, f"{path} is no number") from error
    return found


def _ids(asked: IPRoute, files: Mapping[int, int], others: Set[int]) -> Fields:
    """{"ids": {"4026532389": 0}}: the numbers by which links here name the namespace where their other end is.

    Only until all of `others`, the numbers that links here use, are known: of a thousand namespaces most have one
    neighbour, and to ask each about each would be a million questions.
    """
    ids: dict[str, int] = {}
    for inode, descriptor in files.items():
        if others <= set(ids.values()):
            break
        try:
            told = asked.get_netnsid(fd=descriptor)
        except OSError as error:
            # A namespace of another kind that was given a name: it has no number, and the others have.
            if error.errno != errno.EINVAL:
                raise
            continue
        number = told["nsid"] if told else None
        # One that has none has -1 (NETNSA_NSID_NOT_ASSIGNED), which pyroute2 reads without its sign.
        if number is not None and number < 1 << 31:
            ids[str(inode)] = number
    return {"ids": ids}


def _text(word: str | bytes) -> str:
    return word.decode("utf-8", "surrogateescape") if isinstance(word, bytes) else str(word)
