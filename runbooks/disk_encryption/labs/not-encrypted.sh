#!/bin/sh
# A disk with a file system, as most have it, and nothing encrypted anywhere. The runbook must say so, and that this is no fault.
. "$(dirname "$0")/common.sh"
mkfs.ext4 -q -L data "$disk"
mount "$disk" /mnt
