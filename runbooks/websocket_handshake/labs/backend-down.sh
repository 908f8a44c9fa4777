#!/bin/sh
# Nobody listens where HAProxy expects the server: 503 after one more try. Directly it is refused.
. "$(dirname "$0")/common.sh"

proxy ''
