# The first process of a kernel lab: makes a small system around this host's files, then starts the agent.
#
# Sourced by the generated init script, which sets LAB (the scenario's name) and AGENT (the agent's command). What is said
# here goes to the console, and so to the log.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
mkdir -p /run/cryptsetup /run/lvm /run/lock /run/modules/lib/modules
echo "$LAB" >/proc/sys/kernel/hostname
ip link set lo up

# The root is read-only: it is the host's. LVM keeps archives of its metadata in /etc/lvm; here they go to memory, and
# no setting of the host's lvm.conf changes what a lab shows.
[ ! -d /etc/lvm ] || mount -t tmpfs lvm /etc/lvm

# There is no udev in here, and LVM would wait for it.
export DM_DISABLE_UDEV=1

# Where commands look for an agent that holds ssh keys; a scenario may start one there.
export SSH_AUTH_SOCK=/run/ssh-agent

# In this order: dm-crypt needs encrypted-keys, and that needs the ciphers before it.
ln -s "/usr/lib/uml/modules/$(uname -r)" /run/modules/lib/modules/
for module in aes_generic cbc ecb xts essiv hmac sha256_generic sha512_generic encrypted-keys \
    dm-mod dm-crypt dm-snapshot dm-thin-pool dm-mirror dm-raid raid1 raid456 loop \
    veth dummy vrf sch_netem nf_conntrack nf_conntrack_netlink ip_tables iptable_filter xt_conntrack; do
    modprobe -q -d /run/modules "$module"
done

# Not `exec`: as the first process this shell also takes in what others leave behind.
eval "$AGENT" </dev/ttyS0 >/dev/ttyS0
poweroff -f
