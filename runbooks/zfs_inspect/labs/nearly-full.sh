#!/bin/sh
# A pool at more than 80 per cent: it gets slower, and `zpool status` says nothing of it.
#
# Broken on purpose: 158 of 195 MB are written. The runbook must find `capacity`, warning.
. "$(dirname "$0")/common.sh"

disks 200M a b
mirror tank a b
fill tank 158
scrub tank
