#!/bin/sh
# Two passphrases. The first is protected as it should be; the second was added with the fewest iterations that cryptsetup
# allows, and that is the one to guess.
. "$(dirname "$0")/common.sh"
# shellcheck disable=SC2086
format --type luks2 $argon2
add --pbkdf pbkdf2 --pbkdf-force-iterations 1000
open data_crypt
