#!/bin/sh
# A volume group without a free extent: nothing in it can grow, and no snapshot can be made.
#
# Broken on purpose: the one volume was given everything. The runbook must find `vg-full`, warning: the file system on it
# still has plenty of room, so nothing is failing yet.
set -eu

pvcreate -qq /dev/ubda
vgcreate -qq data-vg /dev/ubda
lvcreate -qq -y -n everything -l 100%FREE data-vg
mkfs.ext4 -q /dev/data-vg/everything
mount /dev/data-vg/everything /mnt
