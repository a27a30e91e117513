#!/bin/sh
# The whole fault sweep of `deploy`: every request of a healthy deploy suffers every kind of fault. Prints how many points
# were tried, and for each that failed how to try it alone: XTASK_SWEEP_POINT='…' scripts/sweep.sh
set -eu
cd "$(dirname "$0")/.."
export XTASK_SWEEP=full
exec cargo test --package xtask --test faults -- --nocapture
