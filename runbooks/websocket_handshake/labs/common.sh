# What every lab here has: a websocket server on port 9001, and HAProxy before it on port 8001. Sourced by the scripts.
#
#   serve PORT [FAULT]     a server of ours, see server.py
#   proxy LINES            HAProxy, whose front end has these lines besides
set -eu
here=$(dirname "$0")

serve() {
    "$RUNBOOK_PYTHON" -I "$here/server.py" "$@" >/dev/null 2>&1 &
    reachable "$1"
}

proxy() {
    cat >"$TMPDIR/haproxy.cfg" <<END
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    timeout tunnel ${tunnel:-1h}
    retries 1
frontend public
    bind 127.0.0.1:8001
$1
    default_backend websockets
backend websockets
    server ws1 127.0.0.1:9001
backend pages
    server web1 127.0.0.1:9002
END
    haproxy -db -f "$TMPDIR/haproxy.cfg" >/dev/null 2>&1 &
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
