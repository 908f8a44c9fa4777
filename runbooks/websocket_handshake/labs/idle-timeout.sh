#!/bin/sh
# HAProxy ends tunnels on which nothing is said for a second: the client is silent for longer.
. "$(dirname "$0")/common.sh"

serve 9001
tunnel=1s
proxy ''
