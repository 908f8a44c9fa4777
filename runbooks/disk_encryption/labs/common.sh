# What every lab here has: a disk with LUKS and two passphrases. They protect nothing, and as little time as possible is spent
# on them; but 64 MiB of memory for each, as a small machine would have it. Sourced by the scripts.
set -eu
disk=/dev/ubda
argon2="--pbkdf argon2id --pbkdf-memory 65536 --pbkdf-force-iterations 4 --pbkdf-parallel 1"

# format WORDS…: make the disk with these options of luksFormat; its passphrase is `first`.
format() { printf first | cryptsetup luksFormat --batch-mode "$@" "$disk" -; }

# add WORDS…: a second passphrase, with these options of luksAddKey.
add() {
    printf second >/run/second
    printf first | cryptsetup luksAddKey --batch-mode --key-file - "$@" "$disk" /run/second
    rm /run/second
}

# open NAME WORDS…: open it, with these options of open.
open() {
    name=$1
    shift
    printf first | cryptsetup open --key-file - "$@" "$disk" "$name"
}
