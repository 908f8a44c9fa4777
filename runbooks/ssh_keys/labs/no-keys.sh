#!/bin/sh
# An account that never made a key, on a host whose sshd is set well.
. "$(dirname "$0")/common.sh"
sshd_config 'PasswordAuthentication no' 'KbdInteractiveAuthentication no' 'PermitRootLogin no'
