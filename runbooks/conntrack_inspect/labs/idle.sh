#!/bin/sh
# Packets pass, and no rule asks for tracking: an empty table is right.
. "$(dirname "$0")/common.sh"

serve
must 5 "$(ask 5)"
