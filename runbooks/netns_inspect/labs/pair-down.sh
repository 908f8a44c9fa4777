#!/bin/sh
# A pair that was made and never set up, at neither end, as whoever prepares something leaves it. Nothing is broken: nothing
# waits for it. But that all ends are up would not be true.
set -eu

for name in r1 r2; do
    ip netns add "$name"
    ip -n "$name" link set lo up
done
ip -n r1 link add a1 type veth peer name a2 netns r2
