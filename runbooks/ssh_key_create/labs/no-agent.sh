#!/bin/sh
# Nobody keeps the key open, so the login asks for the passphrase: `key-ready`, with `no-agent` beside it.
. "$(dirname "$0")/common.sh"
server throw-away
