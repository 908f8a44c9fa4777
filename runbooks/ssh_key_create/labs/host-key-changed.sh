#!/bin/sh
# known_hosts has another key for this server, as when somebody is in between: `host-key-changed`, and no password is sent.
. "$(dirname "$0")/common.sh"
agent
server throw-away
ssh-keygen -q -t ed25519 -N '' -f /run/other
echo "127.0.0.1 $(cut -d' ' -f1,2 /run/other.pub)" >/root/.ssh/known_hosts
