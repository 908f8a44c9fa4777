#!/bin/sh
# Disks, and no LVM at all: a plain partition with a file system on it.
#
# Nothing is broken. The runbook must say `no-lvm`, ok: present and empty is neither a fault nor "could not tell".
set -eu

sfdisk --quiet /dev/ubda <<'TABLE'
label: gpt
type=linux, name=plain
TABLE
mkfs.ext4 -q -L plain /dev/ubda1
mount /dev/ubda1 /mnt
