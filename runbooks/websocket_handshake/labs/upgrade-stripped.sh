#!/bin/sh
# HAProxy takes the Upgrade header out of every request: the server sees an ordinary GET and answers 426.
. "$(dirname "$0")/common.sh"

serve 9001
proxy '    http-request del-header Upgrade'
