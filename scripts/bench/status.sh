#!/usr/bin/env bash
# `cargo xtask status` on four workers, against the wrangler commands that tell the same. The work is in status.mjs; this finds
# Node and sees to it that the packages and the programs are there.
set -euo pipefail
. "$(dirname "$0")/common.sh"

prepare xtask local-cloud
on_two_cores node scripts/bench/status.mjs --repo "$repo" --programs "$(programs)" "$@"
