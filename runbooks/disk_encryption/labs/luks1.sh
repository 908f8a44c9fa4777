#!/bin/sh
# A disk that an installer made before 2019: LUKS1, two passphrases of 100000 iterations each. What is wrong is only its age.
. "$(dirname "$0")/common.sh"
format --type luks1 --pbkdf-force-iterations 100000
add --pbkdf-force-iterations 100000
open sda3_crypt
