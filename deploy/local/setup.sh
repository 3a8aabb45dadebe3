#!/bin/sh
# This script makes .venv from requirements.txt, and checks every package against its hash. It does
# nothing when .venv was made from the same lock with the same interpreter.
set -eu
cd "$(dirname "$0")/../.."

fail() { echo "setup: $*" >&2; exit 1; }

command -v python3 >/dev/null || fail "python3 is missing: apt-get install python3 python3-venv"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$(python3 --version) is too old: 3.11 or newer is needed"

# A job of cron may find another python3 in its PATH. A .venv whose own interpreter works stays.
python=.venv/bin/python
"$python" --version >/dev/null 2>&1 || python=python3
mark=$( ("$python" --version; cat requirements.txt) | sha256sum)
is_made() { [ -x .venv/bin/task ] && [ "$(cat .venv/made-from 2>/dev/null)" = "$mark" ]; }
is_made && exit 0

# One process makes it at a time; a process that waited finds it made.
exec 9<requirements.txt
! command -v flock >/dev/null || flock 9
is_made && exit 0

started=$(date +%s)
echo "setup: making .venv with $(python3 --version)"
# The .venv is made without pip: Debian's python3 alone cannot install one, and the system's pip can
# fill a .venv that has none.
if python3 -m pip --version >/dev/null 2>&1; then
  python3 -m venv --without-pip .venv || fail "python3 cannot make .venv"
  pip() { python3 -m pip --python .venv/bin/python "$@"; }
elif python3 -m venv .venv >/dev/null 2>&1; then
  pip() { .venv/bin/python -m pip "$@"; }
else
  fail "python3 has no pip and no venv: apt-get install python3-venv"
fi

# uv is installed first, from the same lock: it installs the rest several times quicker than pip.
first=$(mktemp)
trap 'rm -f "$first"' EXIT
awk '/^[^ ]/ { wanted = /^uv==/ } wanted' requirements.txt >"$first"
echo "setup: installing $(grep -c '^[a-z].*==' requirements.txt) packages, hashes checked"
quiet="--quiet --disable-pip-version-check --no-input"
pip install $quiet --require-hashes --requirement "$first" || fail "uv cannot be installed"
# uv uses the system's certificates, as pip does: its own list lacks a company's authority.
if ! .venv/bin/uv pip sync --system-certs --quiet --compile-bytecode --python .venv/bin/python \
    --require-hashes requirements.txt; then
  echo "setup: uv did not manage, pip takes over (a minute)"
  pip install $quiet --require-hashes --requirement requirements.txt ||
    fail "the packages cannot be installed"
fi
( (.venv/bin/python --version; cat requirements.txt) | sha256sum) >.venv/made-from
echo "setup: done in $(($(date +%s) - started)) s"
