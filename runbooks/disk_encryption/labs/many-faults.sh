#!/bin/sh
# Six disks, each with a fault of its own that an audit of old disks finds:
#
#   ubda  a cipher in which a planted file can be recognised, and all 8 keyslots in use
#   ubdb  its last keyslot was wiped while it was open
#   ubdc  a re-encryption that was begun and not ended
#   ubdd  the first copy of its header is overwritten
#   ubde  both copies are, and it is open
#   ubdf  PBKDF2 and not Argon2
. "$(dirname "$0")/common.sh"
format --type luks1 --cipher aes-cbc-plain64 --key-size 256 --pbkdf-force-iterations 100000
for _ in 1 2 3 4 5 6 7; do add --pbkdf-force-iterations 100000; done

for letter in b c d e; do
    disk=/dev/ubd$letter
    # shellcheck disable=SC2086
    format --type luks2 $argon2
    # shellcheck disable=SC2086
    add $argon2
done
disk=/dev/ubdf
format --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 100000
add --pbkdf pbkdf2 --pbkdf-force-iterations 100000

disk=/dev/ubdb
open wiped_crypt
cryptsetup erase --batch-mode /dev/ubdb

printf first | cryptsetup reencrypt --batch-mode --init-only --key-file - --key-slot 0 --pbkdf-force-iterations 4 \
    --pbkdf-memory 65536 --pbkdf argon2id /dev/ubdc

dd if=/dev/zero of=/dev/ubdd bs=4096 count=1 conv=notrunc status=none

disk=/dev/ubde
open saved_crypt
# What mkfs on the wrong device leaves of it: the labels are still there, what they say is not.
dd if=/dev/urandom of=/dev/ubde bs=4096 seek=1 count=7 conv=notrunc status=none
