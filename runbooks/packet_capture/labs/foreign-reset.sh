#!/bin/sh
# The firewall resets, in the server's name, what asks for a path: its own packets have one hop less behind them.
. "$(dirname "$0")/common.sh"

ip netns exec F iptables -A FORWARD -p tcp --dport 80 -m string --string 'GET /private' --algo bm -j REJECT --reject-with tcp-reset
ask /chat /private
captured
