#!/usr/bin/env bash
# `xtask migrate status` with 500 migration files, against one REST call plus hashing the files. The work is in
# migrate-status.mjs; this finds Node and sees to it that the packages and the programs are there.
set -euo pipefail
. "$(dirname "$0")/common.sh"

prepare xtask local-cloud
on_two_cores node scripts/bench/migrate-status.mjs --repo "$repo" --programs "$(programs)" "$@"
