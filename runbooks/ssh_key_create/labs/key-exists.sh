#!/bin/sh
# A key that must stay as it is, to the byte: `key-exists`, and nothing is changed.
. "$(dirname "$0")/common.sh"
agent
server throw-away
ssh-keygen -q -t ed25519 -N '' -C old -f /root/.ssh/id_ed25519
