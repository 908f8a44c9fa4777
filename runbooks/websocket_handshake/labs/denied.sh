#!/bin/sh
# A rule of HAProxy denies what asks for an upgrade: 403 from the proxy itself, and no server hears of it.
. "$(dirname "$0")/common.sh"

serve 9001
proxy '    http-request deny if { hdr(upgrade) -i websocket }'
