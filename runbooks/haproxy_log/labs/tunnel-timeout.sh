#!/bin/sh
# HAProxy ends tunnels on which nothing is said for a second; four clients say nothing.
. "$(dirname "$0")/common.sh"

tunnel=1s
proxy '
frontend public
    bind 127.0.0.1:8001
    default_backend websockets
backend websockets
    server ws1 127.0.0.1:9001
'
"$RUNBOOK_PYTHON" -I "$here/world.py" silent 8001 8001 8001 8001
written 4
