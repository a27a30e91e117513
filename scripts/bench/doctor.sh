#!/usr/bin/env bash
# CPU time of `cargo xtask doctor` on a healthy repo without a network, beyond cargo's own start. The work is in doctor.mjs; this
# finds Node and sees to it that the packages and the program are there.
set -euo pipefail
. "$(dirname "$0")/common.sh"

prepare xtask
node scripts/bench/doctor.mjs --repo "$repo" "$@"
