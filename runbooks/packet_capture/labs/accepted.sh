#!/bin/sh
# Three websockets that open, over a path on which nothing is wrong.
. "$(dirname "$0")/common.sh"

ask /chat /chat /chat
captured
