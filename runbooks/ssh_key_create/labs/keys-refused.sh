#!/bin/sh
# The copy succeeds and the proof does not: `login-failed`.
. "$(dirname "$0")/common.sh"
agent
server throw-away 'PubkeyAuthentication no'
