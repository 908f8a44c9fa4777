# What every lab here has: an account's home in /run, and an sshd of the lab's own in place of this host's. All keys are made
# here and gone with it. Sourced by the scripts.
set -eu
home=/run/alice
keys=$home/.ssh
mkdir -m 755 $home
mkdir -p -m 755 /run/sshd

# sshd LINES…: its whole configuration.
sshd_config() {
    mount -t tmpfs ssh /etc/ssh
    ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
    printf '%s\n' "$@" >/etc/ssh/sshd_config
}

# key NAME PASSPHRASE WORDS…: a new pair.
key() {
    name=$1 passphrase=$2
    shift 2
    ssh-keygen -q -N "$passphrase" -C "$name" -f "$keys/$name" "$@"
}
