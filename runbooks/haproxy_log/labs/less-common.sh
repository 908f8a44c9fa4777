#!/bin/sh
# Two good websockets, and one of each way of failing that is seldom: a full queue, cut by an administrator, silent in
# TCP mode, and errors of the server's and of the proxy's own.
. "$(dirname "$0")/common.sh"

"$RUNBOOK_PYTHON" -I "$here/world.py" hang 9002 >/dev/null 2>&1 &
proxy '
frontend good
    bind 127.0.0.1:8001
    default_backend websockets
frontend queued
    bind 127.0.0.1:8002
    default_backend narrow
frontend closed
    bind 127.0.0.1:8003
    http-request return status 503
frontend failing
    bind 127.0.0.1:8004
    default_backend broken
listen raw
    bind 127.0.0.1:8005
    mode tcp
    option tcplog
    timeout client 500ms
    timeout tunnel 500ms
    server ws1 127.0.0.1:9002
frontend cut
    bind 127.0.0.1:8006
    default_backend cut
backend websockets
    server ws1 127.0.0.1:9001
backend narrow
    timeout queue 300ms
    timeout server 1s
    server ws1 127.0.0.1:9002 maxconn 1
backend broken
    server ws1 127.0.0.1:9004
backend cut
    server ws1 127.0.0.1:9001
frontend the_broken_server
    bind 127.0.0.1:9004
    no log
    http-request return status 500
'
"$RUNBOOK_PYTHON" -I "$here/world.py" silent 8006 &
for _ in $(seq 200); do
    [ -z "$(ss -Htn state established 'dport = :9001')" ] || break
    sleep 0.02
done
"$RUNBOOK_PYTHON" -I "$here/world.py" ask 8001 8001 8002 8002 8003 8004 8005
"$RUNBOOK_PYTHON" -I "$here/world.py" tell "$TMPDIR/admin.sock" shutdown sessions server cut/ws1
written 8
