#!/bin/sh
# Opened with the flags that Cloudflare's article led to, stored in the header, and with discards for this time only.
. "$(dirname "$0")/common.sh"
# shellcheck disable=SC2086
format --type luks2 $argon2
# shellcheck disable=SC2086
add $argon2
open fast_crypt --perf-no_read_workqueue --perf-no_write_workqueue --persistent
printf first | cryptsetup refresh --key-file - --allow-discards --perf-no_read_workqueue --perf-no_write_workqueue fast_crypt
