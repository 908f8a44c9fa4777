# What every lab here has: a client (C), a firewall (F) between, and a server (S) in namespaces of their own, so that hops
# and their TTLs are real; and a capture at the client. Sourced by the scripts.
set -eu
here=$(dirname "$0")

for name in C F S; do ip netns add "$name" && ip -n "$name" link set lo up; done
join() { # NAMESPACE ADDRESS, DEVICE and ADDRESS of the firewall, GATEWAY
    ip link add eth0 netns "$1" type veth peer name "$3" netns F
    ip -n "$1" address add "$2/24" dev eth0
    ip -n F address add "$4/24" dev "$3"
    ip -n "$1" link set eth0 up
    ip -n F link set "$3" up
    ip -n "$1" route add default via "$4"
}
join C 10.1.0.1 front 10.1.0.254
join S 10.2.0.1 back 10.2.0.254
ip netns exec F sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'

ip netns exec S "$RUNBOOK_PYTHON" -I "$here/world.py" serve 10.2.0.1 80 >/dev/null 2>&1 &
# Until the way there and the server are up.
ip netns exec C "$RUNBOOK_PYTHON" -I "$here/world.py" reach 10.2.0.1 80
# /run is the lab's own; the rest of the file system is the host's.
# Not tcpdump, which as root gives up its rights first, and in a namespace of an ordinary user there is no other user.
ip netns exec C "$RUNBOOK_PYTHON" -I "$here/world.py" capture eth0 /run/websocket.pcap &
capture=$!
for _ in $(seq 200); do
    [ ! -s /run/websocket.pcap ] || break
    sleep 0.02
done

ask() { ip netns exec C "$RUNBOOK_PYTHON" -I "$here/world.py" ask 10.2.0.1 80 "$@"; }
captured() {
    sleep 0.3
    kill "$capture"
    wait "$capture" || :
}
