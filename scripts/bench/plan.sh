#!/usr/bin/env bash
# Plan time and memory for repos of 4, 40 and 400 workers, and the runner's overhead per step, through a release build of
# the library (xtask/examples/plan_bench.rs). Needs bash, cargo and git.
set -euo pipefail

usage="usage: scripts/bench/plan.sh [--rounds N] [--no-bound]"
rounds=7
bound=1
while [ $# -gt 0 ]; do
  case "$1" in
    --rounds) rounds="$2"; shift 2 ;;
    --no-bound) bound=0; shift ;;
    *) echo "$usage" >&2; exit 2 ;;
  esac
done

repo="$(cd "$(dirname "$0")/../.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$repo"

cargo build --quiet --release --package xtask --example plan_bench
target="${CARGO_TARGET_DIR:-$repo/target}"
bench="$target/release/examples/plan_bench"

for count in 4 40 400; do
  "$bench" generate "$work/$count" "$count"
  git -C "$work/$count" init --quiet --initial-branch main
  git -C "$work/$count" add --all
  git -C "$work/$count" -c user.name=bench -c user.email=bench@localhost commit --quiet --message "generated"
done
for _ in $(seq "$rounds"); do
  # A process of its own each time: its peak memory is that of one plan.
  for count in 4 40 400; do "$bench" plan "$work/$count" >> "$work/$count.times"; done
  for steps in 1000 10000; do
    "$bench" run "$steps" free >> "$work/free-$steps.times"
    "$bench" run "$steps" chain >> "$work/chain-$steps.times"
  done
done

# column FILE N: the median of the N-th column.
column() { awk -v n="$2" '{ print $n }' "$work/$1.times" | sort -n | awk '{ v[NR] = $1 } END { print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

echo "plan, medians of $rounds rounds, $(getconf _NPROCESSORS_ONLN) cores, release build"
printf '%-10s %10s %10s %10s %18s %12s %8s\n' workers 'load ms' 'plan ms' 'CPU ms' 'CPU ms per worker' 'peak kB' steps
for count in 4 40 400; do
  printf '%-10s %10.1f %10.1f %10.1f %18.3f %12.0f %8.0f\n' "$count" "$(column $count 1)" "$(column $count 2)" "$(column $count 3)" \
    "$(awk -v t="$(column $count 3)" -v n="$count" 'BEGIN { print t / n }')" "$(column $count 4)" "$(column $count 5)"
done
echo "(load: read and check all configs; plan: all of \`deploy --dry-run\`, loading and git included, no cloud running;"
echo " CPU: of this process for the plan, git's apart)"
echo
printf '%-22s %16s %16s\n' 'runner, no-op steps' '1000: us/step' '10000: us/step'
for shape in free chain; do
  printf '%-22s %16.1f %16.1f\n' "$shape" "$(column $shape-1000 1)" "$(column $shape-10000 1)"
done
echo "(free: no step needs another; chain: each needs the one before)"
echo

# check NAME VALUE BOUND
missed=0
check() {
  if awk -v value="$2" -v bound="$3" 'BEGIN { exit !(value <= bound) }'; then word=holds; else word=MISSED; missed=1; fi
  awk -v name="$1" -v value="$2" -v bound="$3" -v word="$word" 'BEGIN { printf "%-52s %10.3f  at most %-8s %s\n", name, value, bound, word }'
}
check "plan of 400 workers, ms" "$(column 400 2)" 500
check "CPU per worker, 400 against 40" "$(awk -v a="$(column 400 3)" -v b="$(column 40 3)" 'BEGIN { print b ? a / 400 / (b / 40) : 0 }')" 1.5
check "runner, ms per free step of 10000" "$(awk -v t="$(column free-10000 1)" 'BEGIN { print t / 1000 }')" 1
check "runner, ms per chained step of 10000" "$(awk -v t="$(column chain-10000 1)" 'BEGIN { print t / 1000 }')" 1
[ "$bound" = 0 ] || exit "$missed"
