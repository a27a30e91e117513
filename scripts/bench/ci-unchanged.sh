#!/usr/bin/env bash
# `cargo xtask ci` of an unchanged tree, cargo's own start included, against `turbo run` with the same tasks, all cached.
# The work is in ci-unchanged.mjs; this finds Node and brings the packages, the program and turbo (pinned, into a
# temporary folder).
set -euo pipefail
. "$(dirname "$0")/common.sh"

prepare xtask

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
echo '{"private": true}' > "$work/package.json"
npm install --prefix "$work" --ignore-scripts --no-audit --no-fund --save-exact turbo@2.11.11 >&2
turbo="$(find "$work/node_modules/@turbo" -path '*/bin/turbo' -type f | head -n 1)"
[ -n "$turbo" ] || { echo "error: turbo has no program for this platform" >&2; exit 2; }

on_two_cores node scripts/bench/ci-unchanged.mjs --repo "$repo" --turbo "$turbo" "$@"
