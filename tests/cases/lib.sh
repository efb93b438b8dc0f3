# What the cases' run scripts begin with: $root is the suite, $here the case's folder, $work a scratch folder.
set -u
root=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
py=$root/.venv/bin/python
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
cd "$root" || exit

# run.sh on CPU ranks; a line with its exit status follows
cpu() {
  local status=0
  ./run.sh --backend=cpu --log_dir="$work/logs" "$@" || status=$?
  echo "status $status"
}
