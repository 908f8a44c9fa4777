# What every lab here has: ways to fill the table of this network namespace, and to ask a service in it. No sysctl of the host
# is touched: the limit is its own, and each namespace is counted by itself. A full table takes about 85 MB of the kernel's
# memory for each 262144 entries; it is gone with the lab. Sourced by the scripts.
set -eu
here=$(dirname "$0")
most=$(cat /proc/sys/net/netfilter/nf_conntrack_max)

# A rule that asks for tracking: without one, nothing is tracked.
track() { iptables -A INPUT -m conntrack --ctstate INVALID -j DROP; }

# fill STATE…: as many entries as there may be, from 16 sources.
fill() {
    [ "$most" -le 1100000 ] || { echo "a table of $most entries is too large for a lab" >&2; exit 1; }
    awk -v most="$most" -v state="$*" 'BEGIN {
        for (i = 0; i < most; i++)
            printf "-I -p tcp -s 10.%d.0.%d -d 10.9.9.9 --sport %d --dport %d %s\n",
                1 + int(i / 1048576), i % 16, 1024 + int(i / 16) % 60000, 80 + int(int(i / 16) / 60000) % 60000, state
    }' >/run/entries
    conntrack -R /run/entries >/dev/null 2>&1 || :
    rm /run/entries
}

serve() {
    "$RUNBOOK_PYTHON" -I "$here/world.py" serve 8099 >/dev/null 2>&1 &
    for _ in $(seq 200); do
        [ -z "$(ss -Htln 'sport = :8099')" ] || return 0
        sleep 0.02
    done
    exit 1
}

# ask TIMES, and print how many were answered
ask() { "$RUNBOOK_PYTHON" -I "$here/world.py" ask 8099 "$1"; }
must() { [ "$1" = "$2" ] || { echo "$2 were answered, and not $1" >&2; exit 1; }; }
