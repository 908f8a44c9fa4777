#!/bin/sh
# A table full of SYNs without an answer: new connections push them out, and the service answers.
. "$(dirname "$0")/common.sh"

track
serve
fill --state SYN_SENT -t 120
must 5 "$(ask 5)"
