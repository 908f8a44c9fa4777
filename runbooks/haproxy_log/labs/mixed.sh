#!/bin/sh
# Six good websockets, and one request for each way of failing, each at a frontend of its own.
. "$(dirname "$0")/common.sh"

"$RUNBOOK_PYTHON" -I "$here/world.py" hang 9002 >/dev/null 2>&1 &
"$RUNBOOK_PYTHON" -I "$here/world.py" pour 9003 >/dev/null 2>&1 &
proxy '
frontend good
    bind 127.0.0.1:8001
    default_backend websockets
frontend stripped
    bind 127.0.0.1:8002
    http-request del-header Upgrade
    default_backend websockets
frontend denied
    bind 127.0.0.1:8003
    http-request deny if { hdr(upgrade) -i websocket }
frontend refused
    bind 127.0.0.1:8004
    default_backend down
frontend unserved
    bind 127.0.0.1:8005
    default_backend nobody
frontend silent
    bind 127.0.0.1:8006
    default_backend hanging
frontend left
    bind 127.0.0.1:8007
    default_backend pouring
backend websockets
    server ws1 127.0.0.1:9001
backend down
    server ws1 127.0.0.1:9009
backend nobody
backend hanging
    timeout server 500ms
    server ws1 127.0.0.1:9002
backend pouring
    server web1 127.0.0.1:9003
'
"$RUNBOOK_PYTHON" -I "$here/world.py" ask 8001 8001 8001 8001 8001 8001 8002 8003 8004 8005 8006
"$RUNBOOK_PYTHON" -I "$here/world.py" nonsense 8001
"$RUNBOOK_PYTHON" -I "$here/world.py" leave 8007
written 13
