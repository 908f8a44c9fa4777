#!/bin/sh
# Names that text cannot tell apart: `ip netns list` puts a number behind a name, and a name may look like one, or have a
# line feed in it. In JSON each is exactly one. Nothing is broken.
set -eu

number=0
for name in 'plain' 'plain (id: 7)' 'with  spaces' 'two
lines' 'café' '-dash'; do
    if [ "$name" = -dash ]; then
        # ip(8) would read it as an option; whoever makes the file by hand is not kept from it.
        touch "/run/netns/$name"
        unshare --net="/run/netns/$name" true
        nsenter --net="/run/netns/$name" ip link set lo up
        continue
    fi
    ip netns add "$name"
    ip -n "$name" link set lo up
    number=$((number + 1))
    ip netns set "$name" "$number"
done
