#!/bin/sh
# Three ram disks of the lab's own, as in Cloudflare's article: one as it is, one encrypted, one encrypted and opened without
# work queues. What is written to them is measured here, because the runbook itself only reads.
set -eu
# The first makes the disks; with the second, cryptsetup can ask the kernel's ciphers.
modprobe -d /run/modules brd rd_nr=3 rd_size=65536
modprobe -d /run/modules algif_skcipher
mkdir /run/speed
cd /run/speed
cheap="--batch-mode --type luks2 --cipher aes-xts-plain64 --key-size 512 --sector-size 512
    --pbkdf pbkdf2 --pbkdf-force-iterations 1000"
for disk in /dev/ram1 /dev/ram2; do
    # shellcheck disable=SC2086
    printf secret | cryptsetup luksFormat $cheap "$disk" -
done
printf secret | cryptsetup open --key-file - /dev/ram1 crypt
printf secret | cryptsetup open --key-file - --perf-no_read_workqueue --perf-no_write_workqueue /dev/ram2 flags
ln -s /dev/ram0 plain
ln -s "$(readlink -f /dev/mapper/crypt)" crypt
ln -s "$(readlink -f /dev/mapper/flags)" flags

for turn in 1 2 3 4 5; do
    for kind in plain crypt flags; do
        printf '%s: ' "$kind"
        dd if=/dev/zero of="$kind" bs=4k count=4096 oflag=direct conv=notrunc 2>&1 | tail -n 1
    done
done >written
dmsetup table --target crypt >table
# Whoever reads them is not root.
chmod a+r /dev/ram0 "$(readlink -f crypt)" "$(readlink -f flags)" written table
