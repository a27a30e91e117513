#!/usr/bin/env bash
# `cargo xtask ci` of an unchanged tree, cargo's own start included, against `turbo run` with the same tasks, all cached.
# The work is in ci-unchanged.mjs; this finds Node and brings the packages, the program and turbo (pinned, into a
# temporary folder).
set -euo pipefail

repo="$(cd "$(dirname "$0")/../.." && pwd)"
cd "$repo"
[ -f node_modules/wrangler/wrangler-dist/cli.js ] || npm ci --ignore-scripts >&2
cargo build --quiet --package xtask

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
echo '{"private": true}' > "$work/package.json"
npm install --prefix "$work" --ignore-scripts --no-audit --no-fund --save-exact turbo@2.11.11 >&2
turbo="$(find "$work/node_modules/@turbo" -path '*/bin/turbo' -type f | head -n 1)"
[ -n "$turbo" ] || { echo "error: turbo has no program for this platform" >&2; exit 2; }
export PATH="$repo/node_modules/.bin:$PATH"

# The bound is stated for two cores.
pin=()
if command -v taskset > /dev/null && [ "$(getconf _NPROCESSORS_ONLN)" -gt 2 ]; then pin=(taskset --cpu-list 0,1); fi
${pin[@]+"${pin[@]}"} node scripts/bench/ci-unchanged.mjs --repo "$repo" --turbo "$turbo" "$@"
