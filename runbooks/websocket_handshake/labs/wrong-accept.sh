#!/bin/sh
# The server answers 101 with a Sec-WebSocket-Accept that fits no key: HAProxy passes it on and logs 101.
. "$(dirname "$0")/common.sh"

serve 9001 wrong-accept
proxy ''
