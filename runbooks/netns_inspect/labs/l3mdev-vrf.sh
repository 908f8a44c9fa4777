#!/bin/sh
# No namespaces at all: two VRFs in one, each with a routing table of its own and the same address. Nothing is broken.
set -eu

modprobe -q -d /run/modules vrf || true
for vrf in blue:10 red:20; do
    name=${vrf%:*}
    ip link add "$name" type vrf table "${vrf#*:}"
    ip link set "$name" up
    ip link add "e-$name" type dummy
    ip link set "e-$name" master "$name"
    ip address add 10.0.0.1/24 dev "e-$name"
    ip link set "e-$name" up
done
ip route add default via 10.0.0.2 dev e-red vrf red
