#!/usr/bin/env bash
# Cold `ci` of this repo: against the same commands one after the other, and against the least time they can take. The work
# is in ci.mjs; this finds Node and sees to it that the packages and the program are there.
set -euo pipefail
. "$(dirname "$0")/common.sh"

prepare xtask
on_two_cores node scripts/bench/ci.mjs --repo "$repo" --programs "$(programs)" "$@"
