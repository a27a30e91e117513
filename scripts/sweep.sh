#!/bin/sh
# The whole fault sweep of `deploy`: every request of a healthy deploy is refused, loses its connection, and is the last
# thing xtask does. Prints how many points were tried, and for each that failed how to try it alone:
# XTASK_SWEEP_POINT='…' scripts/sweep.sh. It takes an hour or two; XTASK_SWEEP_FROM=200 goes on after the first 200 points, and
# XTASK_SWEEP=every-kind also tries the milder forms of each fault.
set -eu
cd "$(dirname "$0")/.."
export XTASK_SWEEP="${XTASK_SWEEP:-full}"
exec cargo test --package xtask --test faults -- --nocapture
