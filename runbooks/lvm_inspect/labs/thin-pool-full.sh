#!/bin/sh
# A thin pool at 95 %: when it is full, writes to every volume in it hang and then fail.
#
# Broken on purpose: 95 of the pool's 100 MiB are written, through the one thin volume in it. The runbook must find
# `thin-pool-data`, critical. The volume is no larger than the pool and the group has room, so there is no other finding.
set -eu

pvcreate -qq /dev/ubda
# Extents of 1 MiB: with the usual 4 MiB LVM would round so small a pool up.
vgcreate -qq -s 1M data-vg /dev/ubda
lvcreate -qq -y --type thin-pool -n pool -L 100M --poolmetadatasize 4M --chunksize 64k data-vg
lvcreate -qq -y --thin -n photos -V 100M --thinpool data-vg/pool

# Straight to the device, so that the figure is exact; a file system would write its own bookkeeping as well.
dd if=/dev/zero of=/dev/data-vg/photos bs=1M count=95 conv=fsync status=none
