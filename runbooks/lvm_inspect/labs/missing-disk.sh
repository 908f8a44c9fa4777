#!/bin/sh
# A volume group that has lost one of its two disks, as after a cable was pulled or a disk died.
#
# Broken on purpose: data-vg stood on ubda and ubdb, and ubdb is gone. The volume `near` lies wholly on the disk that is
# left and still works; `far` lay on the lost one and `wide` on both. The runbook must find `pv-missing`, critical, and
# name far and wide.
set -eu

pvcreate -qq /dev/ubda /dev/ubdb
vgcreate -qq data-vg /dev/ubda /dev/ubdb
lvcreate -qq -y -n near -L 32M data-vg /dev/ubda
lvcreate -qq -y -n far -L 32M data-vg /dev/ubdb
lvcreate -qq -y -n wide -L 160M data-vg
mkfs.ext4 -q /dev/data-vg/near

# Without its device node LVM cannot see the disk: its answers are those for a disk that was pulled.
vgchange -qq -an data-vg
rm /dev/ubdb

# Only what is complete comes back; for the rest vgchange complains, and that is the point.
vgchange -qq -ay data-vg || true
mount /dev/data-vg/near /mnt
