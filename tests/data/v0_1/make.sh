#!/usr/bin/env bash
# Makes what is kept in this folder anew, with the version of the commit below, not the present one:
#   PYTHON=.venv/bin/python MCEGNN_DATA=... bash tests/data/v0_1/make.sh [inputs]
# The results go into a new folder, whose name is printed, and are copied by hand: what is kept is
# not to change. OLD=FOLDER takes a checkout of that commit which is there, and is compiled, already.
# inputs: make the structures of inputs/ anew too.
set -euo pipefail
commit=e7b72ea
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$(realpath -s "${PYTHON:-python3}")
work=$(mktemp -d)
if [ -n "${OLD:-}" ]; then
  old=$(realpath "$OLD")
  [ "$(git -C "$old" rev-parse --short=7 HEAD)" = "$commit" ]
else
  old=$work/old
  git -C "$here" worktree add --quiet --detach "$old" "$commit"
  trap 'git -C "$here" worktree remove --force "$old"' EXIT
fi
mkdir "$work/v0_1"
cp -r "$here"/{make.sh,make.py,kept.py,jobs.toml,README.md,inputs} "$work/v0_1"
cd "$work/v0_1"
# one thread: sums of many numbers depend on how they are shared out
export PYTHONPATH="$old" OMP_NUM_THREADS=1 MPLBACKEND=Agg
"$python" make.py "$commit" "$MCEGNN_DATA" "$@"
rm -rf __pycache__
echo "$work/v0_1"
