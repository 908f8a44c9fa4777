#!/bin/sh
# HAProxy in front of a websocket server, and all is well: healthy on purpose, to compare with.
. "$(dirname "$0")/common.sh"

serve 9001
proxy ''
