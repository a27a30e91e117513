#!/usr/bin/env bash
# `xtask migrate status` with 500 migration files, against one REST call plus hashing the files. The work is in
# migrate-status.mjs; this finds Node and sees to it that the packages and the programs are there.
set -euo pipefail

repo="$(cd "$(dirname "$0")/../.." && pwd)"
cd "$repo"
[ -f node_modules/wrangler/wrangler-dist/cli.js ] || npm ci --ignore-scripts >&2
export PATH="$repo/node_modules/.bin:$PATH"
cargo build --quiet --package xtask --package local-cloud
target="${CARGO_TARGET_DIR:-$repo/target}"

# The bounds are stated for two cores.
pin=()
if command -v taskset > /dev/null && [ "$(getconf _NPROCESSORS_ONLN)" -gt 2 ]; then pin=(taskset --cpu-list 0,1); fi
exec ${pin[@]+"${pin[@]}"} node scripts/bench/migrate-status.mjs --repo "$repo" --programs "$target/debug" "$@"
