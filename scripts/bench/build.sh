#!/usr/bin/env bash
# Cold build of xtask from an empty target folder, against a bare crate with the very same dependencies and features:
# what the ratio has above 1 is xtask's own code. Needs bash, cargo and git; no network once the crates are downloaded.
set -euo pipefail

usage="usage: scripts/bench/build.sh [--rounds N] [--no-bound]   (there is no bound on this one: it only prints)"
rounds=3
while [ $# -gt 0 ]; do
  case "$1" in
    --rounds) rounds="$2"; shift 2 ;;
    --no-bound) shift ;;
    *) echo "$usage" >&2; exit 2 ;;
  esac
done

repo="$(cd "$(dirname "$0")/../.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Settings of this shell would change what is measured, and differently on each machine.
unset CARGO_TARGET_DIR RUSTC_WRAPPER CARGO_BUILD_RUSTC_WRAPPER RUSTFLAGS CARGO_INCREMENTAL CARGO_BUILD_JOBS
unset "${!CARGO_PROFILE_@}"

# A crate with the dependencies of xtask (those of its tests apart), its profiles, its lock file, and nothing to compile.
bare="$work/bare"
mkdir -p "$bare/src"
echo 'fn main() {}' > "$bare/src/main.rs"
cp "$repo/Cargo.lock" "$bare/Cargo.lock"
{
  printf '[workspace]\nresolver = "3"\n\n[package]\nname = "bare"\nversion = "0.1.0"\nedition = "2024"\npublish = false\n\n'
  awk '/^\[/ { keep = /^\[dependencies\]/ || /^\[target\..*\.dependencies\]/ } keep' "$repo/xtask/Cargo.toml"
  echo
  awk '/^\[/ { keep = /^\[profile/ } keep' "$repo/Cargo.toml"
} > "$bare/Cargo.toml"

cargo fetch --quiet --locked --manifest-path "$repo/Cargo.toml"
# Forgets the packages the bare crate does not have; versions stay as the repo locks them.
cargo metadata --quiet --offline --format-version 1 --manifest-path "$bare/Cargo.toml" > "$work/metadata.json"

packages() { cargo tree --quiet --offline --manifest-path "$1" --package "$2" --edges normal,build --prefix none --format '{p} {f}' | sed 's/ (\*)$//' | grep -v "^$2 " | sort -u; }
if ! diff <(packages "$repo/Cargo.toml" xtask) <(packages "$bare/Cargo.toml" bare) >&2; then
  echo "error: the bare crate's dependencies are not those of xtask, so the ratio would mean nothing" >&2
  exit 2
fi

# build NAME MANIFEST PACKAGE: one cold build; appends "wall user system" to NAME.times.
build() {
  rm -rf "$work/target"
  TIMEFORMAT='%R %U %S'
  { time CARGO_TARGET_DIR="$work/target" cargo build --quiet --offline --manifest-path "$2" --package "$3" 2> "$work/cargo.log"; } 2>> "$work/$1.times" \
    || { cat "$work/cargo.log" >&2; exit 1; }
}

for round in $(seq "$rounds"); do
  # The order changes, so that a machine that gets slower or faster favours nobody.
  if [ $((round % 2)) = 1 ]; then order="xtask bare"; else order="bare xtask"; fi
  for side in $order; do
    case "$side" in
      xtask) build xtask "$repo/Cargo.toml" xtask ;;
      bare) build bare "$bare/Cargo.toml" bare ;;
    esac
    echo "round $round: $side $(tail -n 1 "$work/$side.times" | awk '{ printf "wall %.1f s, CPU %.1f s", $1, $2 + $3 }')" >&2
  done
done

median() { sort -n | awk '{ v[NR] = $1 } END { print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
cpu() { awk '{ print $2 + $3 }' "$work/$1.times" | median; }
wall() { awk '{ print $1 }' "$work/$1.times" | median; }
packages "$bare/Cargo.toml" bare > "$work/packages"

echo "cold build of xtask, medians of $rounds rounds, $(getconf _NPROCESSORS_ONLN) cores, $(rustc --version), $(wc -l < "$work/packages" | tr -d ' ') packages below it"
printf '%-28s %10s %10s\n' '' 'CPU s' 'wall s'
printf '%-28s %10.1f %10.1f\n' 'xtask' "$(cpu xtask)" "$(wall xtask)"
printf '%-28s %10.1f %10.1f\n' 'bare, same dependencies' "$(cpu bare)" "$(wall bare)"
awk -v a="$(cpu xtask)" -v b="$(cpu bare)" -v c="$(wall xtask)" -v d="$(wall bare)" \
  'BEGIN { printf "%-28s %10.2f %10.2f\n", "ratio", a / b, c / d }'
