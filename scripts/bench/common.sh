# What the benchmarks' scripts share; sourced by them. Sees to it that Node, the packages and the programs are there.

repo="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"

# prepare CRATE…: goes to the repo's root, installs its packages, and builds these crates.
prepare() {
  cd "$repo"
  [ -f node_modules/wrangler/wrangler-dist/cli.js ] || npm ci --ignore-scripts >&2
  cargo build --quiet ${@/#/--package }
  # The repo's own Node first, on all sides.
  export PATH="$repo/node_modules/.bin:$PATH"
}

# The folder of the built programs, wherever cargo was told to put them.
programs() {
  cargo metadata --offline --no-deps --format-version 1 |
    node -e 'let t="";process.stdin.on("data",d=>t+=d).on("end",()=>console.log(JSON.parse(t).target_directory+"/debug"))'
}

# on_two_cores COMMAND…: the bounds are stated for two cores.
on_two_cores() {
  local pin=()
  if command -v taskset > /dev/null && [ "$(getconf _NPROCESSORS_ONLN)" -gt 2 ]; then pin=(taskset --cpu-list 0,1); fi
  ${pin[@]+"${pin[@]}"} "$@"
}
