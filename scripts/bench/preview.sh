#!/usr/bin/env bash
# A preview of four workers with data of its own: `xtask preview` against the wrangler commands that make the same, on one
# local cloud. `cleanup.sh` measures its end. The work is in preview.mjs; this finds Node, the packages and the programs.
set -euo pipefail
. "$(dirname "$0")/common.sh"

prepare xtask local-cloud
on_two_cores node scripts/bench/preview.mjs --repo "$repo" --programs "$(programs)" "$@"
