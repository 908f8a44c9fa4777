#!/bin/sh
# Two devices that are open, and no header on either: one has its header in a file, the other has none at all, for it is a
# swap with a new random key. Without being told where the first one's header is, nobody can tell it from one that was
# overwritten.
. "$(dirname "$0")/common.sh"
truncate -s 16M /run/header.img
# shellcheck disable=SC2086
format --type luks2 --header /run/header.img $argon2
open vault_crypt --header /run/header.img
cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 256 --key-file /dev/urandom /dev/ubdb swap_crypt
