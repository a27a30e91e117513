#!/bin/sh
# From a bare machine (Linux or macOS) to `cargo xtask doctor`: looks for what the pipeline needs, and brings what is missing,
# each after a question. Run again it changes nothing. On Windows run scripts/bootstrap.ps1, which leads here through WSL.
#
#   scripts/bootstrap.sh            ask before each installation
#   scripts/bootstrap.sh --yes      yes to all of them, for machines nobody sits at
#   scripts/bootstrap.sh --check    install nothing; exit 2 when something is missing
#
# Exit 0: all is there (and doctor is content). Exit 2: something is missing. Otherwise: the exit of what failed.
set -eu

usage="usage: scripts/bootstrap.sh [--yes | --check]"
mode=ask
case "${1-}" in
  '') ;;
  --yes) mode=yes ;;
  --check) mode=check ;;
  --help | -h) echo "$usage" && exit 0 ;;
  *) echo "$usage" >&2 && exit 2 ;;
esac

say() { printf '%s\n' "$*" >&2; }
has() { command -v "$1" > /dev/null 2>&1; }

cd "$(dirname "$0")/.."
missing=''

# consent WHAT COMMAND: shows the command and asks; without a terminal nobody can answer, and silence is no.
consent() {
  say "$1 is missing. This brings it:"
  say "  $2"
  case "$mode" in
    yes) return 0 ;;
    check) return 1 ;;
  esac
  if [ ! -t 0 ]; then
    say "  (nobody is here to say yes: run it yourself, or add --yes)"
    return 1
  fi
  printf 'Run it? [y/N] ' >&2
  read -r answer || return 1
  case "$answer" in
    [yY] | [yY][eE][sS]) return 0 ;;
    *) return 1 ;;
  esac
}

# The command of the package manager that is there, for packages named as on Debian.
install_command() {
  sudo=''
  if has sudo && [ "$(id -u)" != 0 ]; then sudo='sudo '; fi
  if has apt-get; then
    echo "${sudo}apt-get update && ${sudo}apt-get install --yes $*"
  elif has dnf; then
    echo "${sudo}dnf install --assumeyes $*"
  elif has apk; then
    echo "${sudo}apk add $*"
  elif has pacman; then
    echo "${sudo}pacman --sync --noconfirm $*"
  elif has zypper; then
    echo "${sudo}zypper --non-interactive install $*"
  elif has brew; then
    case "$1" in
      nodejs | npm) echo "brew install node" ;;
      *) echo "brew install $*" ;;
    esac
  fi
}

# bring PROGRAM WHERE-FROM PACKAGE...: sees to it that a program is on PATH.
bring() {
  program=$1
  from=$2
  shift 2
  if has "$program"; then
    say "ok       $program"
    return 0
  fi
  command=$(install_command "$@")
  if [ -z "$command" ]; then
    say "missing  $program: no package manager is known here; get it from $from"
    missing="$missing $program"
    return 0
  fi
  if consent "$program" "$command"; then
    sh -c "$command" >&2
  fi
  if has "$program"; then
    say "ok       $program (installed now)"
  else
    say "missing  $program"
    missing="$missing $program"
  fi
}

# The oldest Rust the pipeline compiles with stands in Cargo.toml, and nowhere else.
rust_wanted() {
  sed -n 's/^rust-version = "\([0-9.]*\)".*/\1/p' Cargo.toml
}

# True when version $1 is at least $2; both are `1.89` or `1.89.0`.
at_least() {
  found_major=${1%%.*}
  found_rest=${1#*.}
  wanted_major=${2%%.*}
  wanted_rest=${2#*.}
  [ "$found_major" -gt "$wanted_major" ] && return 0
  [ "$found_major" -eq "$wanted_major" ] && [ "${found_rest%%.*}" -ge "${wanted_rest%%.*}" ]
}

# Prints the version of the compiler on PATH, if it runs.
rust_found() {
  rustc --version 2> /dev/null | sed -n 's/^rustc \([0-9]*\.[0-9]*\).*/\1/p'
}

bring_rust() {
  wanted=$(rust_wanted)
  # An earlier run may have installed it, and this shell does not know yet.
  if ! has cargo && [ -f "$HOME/.cargo/env" ]; then
    # shellcheck source=/dev/null
    . "$HOME/.cargo/env"
  fi
  found=$(rust_found)
  if [ -n "$found" ] && has cargo && at_least "$found" "$wanted"; then
    say "ok       rust $found"
    return 0
  fi
  if has rustup; then
    what="Rust $wanted or newer"
    command='rustup toolchain install stable --profile minimal && rustup default stable'
  elif [ -n "$found" ]; then
    what="Rust $wanted or newer (this one is $found; rustup's official installer brings another beside it)"
    command="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal"
  else
    what="Rust $wanted or newer (rustup's official installer)"
    command="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal"
  fi
  if consent "$what" "$command"; then
    sh -c "$command" >&2
    if [ -f "$HOME/.cargo/env" ]; then
      # shellcheck source=/dev/null
      . "$HOME/.cargo/env"
    fi
  fi
  found=$(rust_found)
  if [ -n "$found" ] && has cargo && at_least "$found" "$wanted"; then
    say "ok       rust $found (installed now)"
  else
    say "missing  rust"
    missing="$missing rust"
  fi
}

# curl first: rustup comes through it.
bring curl https://curl.se/download.html curl
bring git https://git-scm.com/downloads git
# Any Node will do: `npm ci` brings the one wrangler runs on.
bring node https://nodejs.org/en/download nodejs npm
bring npm https://nodejs.org/en/download npm
bring_rust

if [ -n "$missing" ]; then
  say ""
  say "still missing:$missing"
  say "install what is named above, then run scripts/bootstrap.sh again"
  exit 2
fi
if [ "$mode" = check ]; then
  exit 0
fi
say ""
say "\$ cargo xtask doctor"
exec cargo xtask doctor
