# What every lab here has: a websocket server on port 9001, HAProxy on ports 8001 and following, and its log, as a
# syslog daemon would write it. Sourced by the scripts.
set -eu
here=$(dirname "$0")
# /run is the lab's own; the rest of the file system is the host's.
log=/run/haproxy.log

proxy() {
    "$RUNBOOK_PYTHON" -I "$here/world.py" serve 9001 >/dev/null 2>&1 &
    reachable 9001
    cat >"$TMPDIR/haproxy.cfg" <<END
global
    log stdout format raw local0
    stats socket $TMPDIR/admin.sock level admin
defaults
    mode http
    log global
    option httplog
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    timeout tunnel ${tunnel:-1h}
    retries 1
$1
END
    haproxy -db -f "$TMPDIR/haproxy.cfg" >"$log" 2>/dev/null &
    reachable 8001
}

# Wait until somebody listens on this port.
reachable() {
    for _ in $(seq 200); do
        [ -z "$(ss -Htln "sport = :$1")" ] || return 0
        sleep 0.02
    done
    echo "nobody listens on port $1" >&2
    exit 1
}

# Wait until the log has so many lines.
written() {
    for _ in $(seq 300); do
        [ "$(wc -l <"$log")" -lt "$1" ] || return 0
        sleep 0.02
    done
    echo "the log has not $1 lines:" >&2
    cat "$log" >&2
    exit 1
}
