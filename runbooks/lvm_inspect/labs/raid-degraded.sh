#!/bin/sh
# A mirror that runs on one of its two legs: the data is all there, and one more fault loses it.
#
# Broken on purpose: `mail` is a RAID 1 over ubda and ubdb, and ubdb is gone. The runbook must find `raid-degraded`,
# critical, and `pv-missing`, critical. (Cpy%Sync stays at 100.00: that column does not show the loss.)
set -eu

pvcreate -qq /dev/ubda /dev/ubdb
vgcreate -qq mail-vg /dev/ubda /dev/ubdb
# Both legs are new and empty, so there is nothing to copy from one to the other first.
lvcreate -qq -y --type raid1 -m 1 --nosync -n mail -L 48M mail-vg
mkfs.ext4 -q /dev/mail-vg/mail

# Without its device node LVM cannot see the disk: its answers are those for a disk that was pulled.
vgchange -qq -an mail-vg
rm /dev/ubdb

vgchange -qq -ay --activationmode degraded mail-vg
mount /dev/mail-vg/mail /mnt
