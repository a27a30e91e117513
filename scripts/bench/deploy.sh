#!/usr/bin/env bash
# Deploy of four changed workers: `xtask deploy` against what wrangler-action does, on the same local cloud. The work is
# in deploy.mjs; this finds Node and sees to it that the packages and the programs are there.
set -euo pipefail
. "$(dirname "$0")/common.sh"

prepare xtask local-cloud
on_two_cores node scripts/bench/deploy.mjs --repo "$repo" --programs "$(programs)" "$@"
