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
  deploy) exec cargo test --package xtask --test it faults::no_fault -- --ignored --nocapture ;;
  preview | cleanup) exec cargo test --package xtask --test it "preview_faults::$1::no_fault" -- --ignored --nocapture ;;
  migrate) exec cargo test --package xtask --test it faults_database::no_fault_parts -- --ignored --nocapture ;;
  rollback) exec cargo test --package xtask --test it faults_database::no_fault_stops -- --ignored --nocapture ;;
  *) echo "usage: scripts/sweep.sh [deploy|preview|cleanup|migrate|rollback]" >&2; exit 2 ;;
esac
