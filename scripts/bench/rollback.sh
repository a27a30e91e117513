#!/usr/bin/env bash
# Rollback of four workers: `xtask rollback` against `wrangler rollback`, on the same local cloud. The work is
# in rollback.mjs; this finds Node and sees to it that the packages and the programs are there.
set -euo pipefail
. "$(dirname "$0")/common.sh"

prepare xtask local-cloud
on_two_cores node scripts/bench/rollback.mjs --repo "$repo" --programs "$(programs)" "$@"
