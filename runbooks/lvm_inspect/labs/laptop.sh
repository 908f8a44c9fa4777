#!/bin/sh
# The laptop of the note, healthy: an encrypted partition is the only physical volume of laptop-vg.
#
#   ubda ─ ubda3 ─ LUKS sda3_crypt ─ laptop-vg ─ root, home, storage, swap_1
#
# Nothing is broken. The runbook must draw the whole stack, say `healthy`, and nothing else: there is room left in the
# volume group, and no thin pool, snapshot or RAID to worry about.
set -eu

# A partition table as an installer makes it: EFI, /boot, and the rest for the encrypted system.
sfdisk --quiet /dev/ubda <<'TABLE'
label: gpt
size=8M,  type=uefi,  name=EFI
size=24M, type=linux, name=boot
          type=linux, name=system
TABLE
mkfs.ext4 -q -L boot /dev/ubda2

# The cheapest key derivation there is: this passphrase protects nothing, and the lab should not take long.
printf secret | cryptsetup luksFormat --batch-mode --type luks2 \
    --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/ubda3 -
printf secret | cryptsetup open --key-file - /dev/ubda3 sda3_crypt

pvcreate -qq /dev/mapper/sda3_crypt
vgcreate -qq laptop-vg /dev/mapper/sda3_crypt
lvcreate -qq -y -n root -L 48M laptop-vg
lvcreate -qq -y -n home -L 40M laptop-vg
lvcreate -qq -y -n storage -L 64M laptop-vg
lvcreate -qq -y -n swap_1 -L 12M laptop-vg

mkfs.ext4 -q -L root /dev/laptop-vg/root
mkfs.ext4 -q -L home /dev/laptop-vg/home
mkfs.ext4 -q -L storage /dev/laptop-vg/storage
mkswap -q /dev/laptop-vg/swap_1

# The laptop has booted, except that its root is under /mnt; storage is not mounted.
mount /dev/laptop-vg/root /mnt
mkdir -p /mnt/boot /mnt/home
mount /dev/ubda2 /mnt/boot
mount /dev/laptop-vg/home /mnt/home
swapon /dev/laptop-vg/swap_1
