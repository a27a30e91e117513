#!/usr/bin/env bash
# Rollback of four workers: `xtask rollback` against `wrangler rollback`, on the same local cloud. The work is
# in rollback.mjs; this finds Node and sees to it that the packages and the programs are there.
set -euo pipefail

repo="$(cd "$(dirname "$0")/../.." && pwd)"
cd "$repo"
[ -f node_modules/wrangler/wrangler-dist/cli.js ] || npm ci --ignore-scripts >&2
# The repo's own Node first, on both sides.
export PATH="$repo/node_modules/.bin:$PATH"
cargo build --quiet --package xtask --package local-cloud
target="$(cargo metadata --offline --no-deps --format-version 1 | node -e 'let t="";process.stdin.on("data",d=>t+=d).on("end",()=>console.log(JSON.parse(t).target_directory))')"

# The bound is stated for two cores.
pin=()
if command -v taskset > /dev/null && [ "$(getconf _NPROCESSORS_ONLN)" -gt 2 ]; then pin=(taskset --cpu-list 0,1); fi
exec ${pin[@]+"${pin[@]}"} node scripts/bench/rollback.mjs --repo "$repo" --programs "$target/debug" "$@"
