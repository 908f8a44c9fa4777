#!/bin/sh
# Broken on purpose: the far end of a veth pair is down, so the near end has no carrier; the loopback of ns-app was never
# set up, as it is in every namespace that was just made; and a BGP session gets no answer.
set -eu

for name in ns-app ns-router; do ip netns add "$name"; done
ip -n ns-router link set lo up
ip -n ns-app link add up0 type veth peer name down0 netns ns-router
ip -n ns-app address add 10.0.0.1/24 dev up0
ip -n ns-router address add 10.0.0.2/24 dev down0
ip -n ns-app link set up0 up

# A second pair is up, and whoever should answer on it is not there.
ip -n ns-app link add up1 type veth peer name bgp1 netns ns-router
ip -n ns-app address add 10.0.1.1/24 dev up1
ip -n ns-router address add 10.0.1.1/24 dev bgp1
ip -n ns-app link set up1 up
ip -n ns-router link set bgp1 up
ip netns exec ns-app "$RUNBOOK_PYTHON" -I -c 'import socket
socket.create_connection(("10.0.1.9", 179))' 2>/dev/null &
for _ in $(seq 100); do [ -n "$(ip netns exec ns-app ss -Htn state syn-sent)" ] && break || sleep 0.02; done
