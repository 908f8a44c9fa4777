#!/bin/sh
# As it should be: one key with a passphrase and 100 rounds, another person's key that may log in with restrictions, and an
# sshd that takes neither passwords nor root. The runbook must say `healthy`, and nothing else.
. "$(dirname "$0")/common.sh"
sshd_config 'PasswordAuthentication no' 'KbdInteractiveAuthentication no' 'PermitRootLogin no'
mkdir -m 700 $keys
key id_ed25519 'correct horse battery staple' -t ed25519 -a 100
key backup 'another long passphrase' -t ed25519 -a 100
printf 'restrict,command="/usr/bin/true" %s\n' "$(cat $keys/backup.pub)" >$keys/authorized_keys
rm $keys/backup $keys/backup.pub
chmod 600 $keys/authorized_keys
