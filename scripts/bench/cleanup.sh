#!/usr/bin/env bash
# Taking the preview of four workers down: `xtask cleanup` against `wrangler delete` of each worker and the deletes of its
# storage, on one local cloud. The work is in preview.mjs.
set -euo pipefail
exec "$(dirname "$0")/preview.sh" --measure cleanup "$@"
