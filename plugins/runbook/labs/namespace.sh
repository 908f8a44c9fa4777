# The first process of a namespace lab: NAME of the scenario, COMMAND of the agent. Messages go to the log.
set -e
# Named network namespaces, sockets and pid files of this lab are its own.
mount -t tmpfs run /run
mkdir -p /run/netns /run/lock
# By this the `runbook` that somebody types in the lab's shell knows where it is (executors/here.py).
echo "$1" >/run/runbook-lab
mount -t sysfs sys /sys
hostname "$1"
ip link set lo up
# Not `exec`: as the first process this shell also takes in what others leave behind.
eval "$2"
