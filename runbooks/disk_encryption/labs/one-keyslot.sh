#!/bin/sh
# One passphrase and no other way in; and a key of 256 bits, which for XTS means AES-128.
. "$(dirname "$0")/common.sh"
# shellcheck disable=SC2086
format --type luks2 --key-size 256 $argon2
