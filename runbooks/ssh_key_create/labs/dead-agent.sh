#!/bin/sh
# As in an old session of tmux: SSH_AUTH_SOCK names a socket where nobody listens. The key works all the same: `not-loaded` beside
# `key-ready`.
. "$(dirname "$0")/common.sh"
server throw-away
"$RUNBOOK_PYTHON" -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$SSH_AUTH_SOCK"
