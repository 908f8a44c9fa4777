# What every lab here has: an sshd on 127.0.0.1 with an account `alice` that takes a password, and a home of root's that can be
# written to. All keys are made here and gone with it. Sourced by the scripts.
set -eu

# The root is this host's and read-only; what is in root's home stays visible, for the engine may be there.
mkdir -m 700 /run/root
for entry in /root/* /root/.[!.]*; do
    case $entry in */.ssh) continue ;; esac
    if [ -d "$entry" ]; then
        mkdir "/run/root/${entry##*/}"
    elif [ -f "$entry" ]; then
        : >"/run/root/${entry##*/}"
    else
        continue
    fi
    mount --bind "$entry" "/run/root/${entry##*/}"
done
mount --rbind /run/root /root
mkdir -m 700 /root/.ssh

mkdir -m 755 /run/alice /run/sshd
{ grep -vE '^(alice|root):' /etc/passwd; echo 'root:x:0:0::/root:/bin/sh'; echo 'alice:x:4000:4000::/run/alice:/bin/sh'; } >/run/passwd
mount --bind /run/passwd /etc/passwd
chown 4000:4000 /run/alice

mount -t tmpfs ssh /etc/ssh
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key

# server PASSWORD LINES…: starts it, with these lines in front of its configuration.
server() {
    (umask 077 && echo "alice:$(openssl passwd -6 "$1"):20000:0:99999:7:::" >/run/shadow)
    mount --bind /run/shadow /etc/shadow
    shift
    printf '%s\n' "$@" 'PasswordAuthentication yes' 'KbdInteractiveAuthentication no' 'UsePAM no' 'UseDNS no' >/etc/ssh/sshd_config
    "$(command -v sshd)"
}

agent() {
    ssh-agent -a "$SSH_AUTH_SOCK" >/run/agent.log
}
