#!/bin/sh
# A mirror of two disks, with some data, that was just scrubbed. Nothing is broken: the runbook must say `healthy`.
. "$(dirname "$0")/common.sh"

disks 100M a b
mirror tank a b
fill tank 20
scrub tank
