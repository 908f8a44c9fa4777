#!/bin/sh
# The same full table; what is not tracked passes.
. "$(dirname "$0")/common.sh"

track
serve
fill --state ESTABLISHED -u ASSURED,SEEN_REPLY -t 300
iptables -t raw -A OUTPUT -o lo -j CT --notrack
iptables -t raw -A PREROUTING -i lo -j CT --notrack
must 5 "$(ask 5)"
