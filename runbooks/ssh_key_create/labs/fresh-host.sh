#!/bin/sh
# As it should be: the key is made, loaded and copied, and it logs in. The runbook must say `key-ready`, and nothing else.
. "$(dirname "$0")/common.sh"
agent
server throw-away
