#!/bin/sh
# The server refuses a path with 403, and one of twenty packets is lost besides: only the first is why it does not open.
. "$(dirname "$0")/common.sh"

ip netns exec F iptables -A FORWARD -m statistic --mode nth --every 20 --packet 0 -j DROP
ask /chat /private /long /long
captured
