# Sourced by run.sh and test.sh: one virtual environment in .venv, made once and kept as pinned.
# It is made again only where pyproject.toml, the constraints or the extras have changed.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
environment="$repository/.venv"

say() { printf '%s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s' "$candidate"
      return
    fi
  done
  fail "Python 3.11 or newer is needed and was not found." \
    "Install it (Debian, Ubuntu: apt-get install python3 python3-venv), or name it: PYTHON=/path/to/python3 bash deploy/run.sh"
}

is_root() { [ "$(id -u)" -eq 0 ]; }

install_debian() { # PACKAGE...: install them where this is root on a Debian-like system
  command -v apt-get >/dev/null || fail "Please install: $*"
  is_root || fail "Please install what is missing, then start again:  sudo apt-get install $*"
  say "Installing $* ..."
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >&2
}

make_venv() {
  local python
  python=$(find_python)
  "$python" -c 'import ensurepip, venv' 2>/dev/null || install_debian python3-venv
  say "Making the environment $environment ..."
  rm -rf "$environment"
  "$python" -m venv "$environment"
}

make_environment() { # [EXTRA]: .venv with the package and its pinned requirements
  local extra=${1:-} wanted
  wanted=$(cat "$repository/pyproject.toml" "$repository/deploy/constraints.txt" | sha256sum | cut -d' ' -f1)
  # What the development extras need includes what serving needs.
  if grep -qsx -e "$wanted dev" -e "$wanted $extra" "$environment/.installed"; then return; fi
  "$environment/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || make_venv
  say "Installing the pinned requirements (once; some minutes, mostly PyTorch) ..."
  rm -f "$environment/.installed"
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check \
    --constraint "$repository/deploy/constraints.txt" --editable "$repository${extra:+[$extra]}" >&2 \
    || fail "The installation failed; see the lines above. Nothing else was changed: start again to go on."
  printf '%s %s\n' "$wanted" "$extra" > "$environment/.installed"
}
