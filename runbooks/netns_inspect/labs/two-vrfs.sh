#!/bin/sh
# Two network namespaces as a router's software has them for its VRFs: ns-INET knows the way to everywhere, ns-VRF1 only
# its own networks, and a session on BGP's port lives in ns-VRF1. Nothing is broken.
set -eu

for name in ns-INET ns-VRF1 ns-peer; do
    ip netns add "$name"
    ip -n "$name" link set lo up
done
join() { # NAMESPACE LINK ADDRESS, OTHER-NAMESPACE LINK ADDRESS
    ip -n "$1" link add "$2" type veth peer name "$5" netns "$4"
    ip -n "$1" address add "$3" dev "$2"
    ip -n "$4" address add "$6" dev "$5"
    ip -n "$1" link set "$2" up
    ip -n "$4" link set "$5" up
}
join ns-VRF1 et1 10.0.12.1/30 ns-peer p1 10.0.12.2/30
join ns-INET et2 198.51.100.2/30 ns-peer p2 198.51.100.1/30
ip -n ns-INET route add default via 198.51.100.1
ip netns exec ns-VRF1 sysctl -qw net.ipv4.ip_forward=1

# Both listen on port 22, which is no conflict.
python="$RUNBOOK_PYTHON -I -c"
listen='import socket,sys,time
with socket.create_server(("", int(sys.argv[1]))) as server:
    taken = [server.accept() for _ in range(1)]
    time.sleep(600)'
ip netns exec ns-INET $python "$listen" 22 &
ip netns exec ns-VRF1 $python "$listen" 22 &
ip netns exec ns-peer $python "$listen" 179 &
for _ in $(seq 100); do [ -n "$(ip netns exec ns-peer ss -Htln)" ] && break || sleep 0.02; done
ip netns exec ns-VRF1 $python 'import socket,time
taken = socket.create_connection(("10.0.12.2", 179)); time.sleep(600)' &
for name in ns-INET ns-VRF1; do
    for _ in $(seq 100); do [ -n "$(ip netns exec "$name" ss -Htln)" ] && break || sleep 0.02; done
done
for _ in $(seq 100); do [ -n "$(ip netns exec ns-VRF1 ss -Htn)" ] && break || sleep 0.02; done
