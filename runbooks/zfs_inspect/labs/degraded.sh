#!/bin/sh
# A mirror that has lost one of its two disks, as after a cable was pulled while the host was off.
#
# Broken on purpose: the disk b is gone. Everything can still be read. The runbook must find `pool-degraded`, warning, and say
# that no redundancy is left.
. "$(dirname "$0")/common.sh"

disks 100M a b
mirror tank a b
fill tank 20
zpool export tank
rm /run/disks/b
zpool import -d /run/disks -o cachefile=none tank
scrub tank
