#!/bin/sh
# A rule by path sends /chat to a server that does not have it, and answers 404.
. "$(dirname "$0")/common.sh"

serve 9001
serve 9002 elsewhere
proxy '    use_backend pages if { path_beg /chat }'
