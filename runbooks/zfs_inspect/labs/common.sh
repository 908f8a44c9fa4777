# What every lab here has: a ZFS of its own in user space (zfs-fuse), whose disks are files in the lab's memory. The host's
# pools are not in it: the daemon's socket, its list of pools and its mounts are of this lab only, and end with it. Sourced
# by the scripts.
set -eu

mount -t tmpfs zfs /etc/zfs
mkdir -p /run/zfs /run/disks
zfs-fuse -n -p /run/zfs-fuse.pid >/run/zfs-fuse.log 2>&1 &
for _ in $(seq 400); do
    [ ! -S /run/zfs/zfs_socket ] || break
    sleep 0.02
done

# disks SIZE NAME…: empty ones.
disks() {
    size=$1
    shift
    for name in "$@"; do truncate -s "$size" "/run/disks/$name"; done
}

# mirror NAME DISK…: a pool that nobody else has, in no list that the daemon reads when it starts.
mirror() {
    name=$1
    shift
    if zpool list -H -o name "$name" >/dev/null 2>&1; then
        echo "there is a pool $name already" >&2
        exit 1
    fi
    (cd /run/disks && zpool create -o cachefile=none -m "/run/$name" "$name" mirror $(printf '/run/disks/%s ' "$@"))
}

# fill POOL MEGABYTES: with data that is worth a checksum.
fill() { dd if=/dev/urandom of="/run/$1/photos" bs=1M count="$2" conv=fsync status=none; }

# scrub POOL, and wait until it is done.
scrub() {
    zpool scrub "$1"
    for _ in $(seq 600); do
        zpool status "$1" | grep -q 'in progress' || return 0
        sleep 0.05
    done
    echo "the scrub of $1 does not end" >&2
    exit 1
}
