#!/bin/sh
# Two faults at once: one of twenty packets is lost, and HAProxy takes the Upgrade header out. Only one of them is why the
# websocket does not open; the other is what one sees first in a capture.
. "$(dirname "$0")/common.sh"

serve 9001
proxy '    http-request del-header Upgrade'
iptables -A INPUT -i lo -p tcp -m statistic --mode random --probability 0.05 -j DROP
# Other connections, which lose as well, so that there is something to count.
"$RUNBOOK_PYTHON" -I "$here/traffic.py" >/dev/null 2>&1 &
