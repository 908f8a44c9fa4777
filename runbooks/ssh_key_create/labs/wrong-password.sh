#!/bin/sh
# The password is not the one that is typed: `password-refused`, and the key stays until it is taken back.
. "$(dirname "$0")/common.sh"
agent
server something-else
