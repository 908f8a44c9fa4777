#!/bin/sh
# A disk that gives back something else than was written to it, and says nothing.
#
# Broken on purpose: 12 MB in the middle of the disk b are written over behind ZFS's back. A scrub finds it, and repairs it
# from a. The pool is ONLINE and no data is lost: the runbook must find `vdev-errors`, warning, and name b.
. "$(dirname "$0")/common.sh"

disks 100M a b
mirror tank a b
fill tank 40
scrub tank
dd if=/dev/urandom of=/run/disks/b bs=1M seek=8 count=12 conv=notrunc status=none
scrub tank
