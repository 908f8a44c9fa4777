#!/bin/sh
# A snapshot that ran out of room: it is invalid for ever, and whatever backup was read from it is worthless.
#
# Broken on purpose: the snapshot has 8 MiB to keep old blocks in, and 20 MiB of the origin are written over. The runbook
# must find `snapshot-full`, critical. The origin itself is unharmed and mounted.
set -eu

pvcreate -qq /dev/ubda
vgcreate -qq data-vg /dev/ubda
lvcreate -qq -y -n database -L 64M data-vg
mkfs.ext4 -q /dev/data-vg/database
mount /dev/data-vg/database /mnt

lvcreate -qq -y --snapshot -n before-upgrade -L 8M data-vg/database
dd if=/dev/zero of=/mnt/table bs=1M count=20 conv=fsync status=none
