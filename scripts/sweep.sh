#!/bin/sh
# The whole fault sweep of a verb, `deploy` unless one is named: every request of a healthy run is refused, loses its
# connection, and is the last thing xtask does. Prints how many points were tried, and for each that failed how to try it alone:
# XTASK_SWEEP_POINT='…' scripts/sweep.sh VERB. It takes an hour or two; XTASK_SWEEP_FROM=200 goes on after the first 200 points,
# and XTASK_SWEEP=every-kind also tries the milder forms of each fault.
# usage: scripts/sweep.sh [deploy|preview|cleanup|migrate|rollback]
set -eu
cd "$(dirname "$0")/.."
export XTASK_SWEEP="${XTASK_SWEEP:-full}"
case "${1:-deploy}" in
  deploy) exec cargo test --package xtask --test it faults:: -- --nocapture ;;
  preview | cleanup) exec cargo test --package xtask --test it "preview_faults::$1::" -- --nocapture ;;
  migrate | rollback) exec cargo test --package xtask --test it "faults_database::a_$1" -- --nocapture ;;
  *) echo "usage: scripts/sweep.sh [deploy|preview|cleanup|migrate|rollback]" >&2; exit 2 ;;
esac
