#!/bin/sh
# As it should be: LUKS2, Argon2id in both keyslots, a key of 512 bits, open and in use. The runbook must say `healthy`, and
# remind of the header backup that no command can see.
. "$(dirname "$0")/common.sh"
# shellcheck disable=SC2086
format --type luks2 $argon2
# shellcheck disable=SC2086
add $argon2
open home_crypt
mkfs.ext4 -q -L home /dev/mapper/home_crypt
mount /dev/mapper/home_crypt /mnt
