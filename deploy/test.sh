#!/usr/bin/env bash
# Everything that has to pass: format, lint, types, import directions, tests.
#   bash deploy/test.sh                 all of it
#   bash deploy/test.sh -m unit         arguments go through to pytest
#   bash deploy/test.sh --no-browser    without the tests that need Chromium
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$repository"

browser=yes
if [ "${1:-}" = --no-browser ]; then
  browser=no
  shift
fi

make_environment dev
bin="$environment/bin"

step() { say "== $*"; "$@"; }
step "$bin/ruff" format --check --quiet .
step "$bin/ruff" check --quiet .
step "$bin/mypy"
step "$bin/lint-imports"

missing=()
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || missing+=(chromium)
fc-list 2>/dev/null | grep -qi 'noto.*cjk' || missing+=(fonts-noto-cjk fontconfig)
command -v redis-server >/dev/null || missing+=(redis-server)
if [ $browser = no ]; then
  say "== Without the browser tests (--no-browser)."
  set -- --no-browser "$@"
elif [ ${#missing[@]} -gt 0 ]; then
  install_debian "${missing[@]}"
fi

step "$bin/assistant" models pull
step "$bin/python" -m pytest "$@"
