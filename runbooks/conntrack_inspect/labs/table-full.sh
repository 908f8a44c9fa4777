#!/bin/sh
# A table full of assured connections: none may be thrown out, and whoever comes new is dropped.
. "$(dirname "$0")/common.sh"

track
serve
fill --state ESTABLISHED -u ASSURED,SEEN_REPLY -t 300
must 0 "$(ask 2)"
