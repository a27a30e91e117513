#!/usr/bin/env bash
# CPU time of `cargo xtask doctor` on a healthy repo without a network, beyond cargo's own start. The work is in doctor.mjs; this
# finds Node and sees to it that the packages and the program are there.
set -euo pipefail

repo="$(cd "$(dirname "$0")/../.." && pwd)"
cd "$repo"
[ -f node_modules/wrangler/wrangler-dist/cli.js ] || npm ci --ignore-scripts >&2
export PATH="$repo/node_modules/.bin:$PATH"
cargo build --quiet --package xtask
exec node scripts/bench/doctor.mjs --repo "$repo" "$@"
