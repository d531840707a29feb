# Sourced by the other scripts: makes .venv with the pinned packages if it is not there, and activates it.
# Torch comes from its pin: users with a GPU get the CUDA build of the same version.
here="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${WML_VENV:-$here/.venv}"
stamp="$venv/.installed-${1:-base}"
wanted="$(cat "$here/pyproject.toml" "$here/constraints.txt" | cksum)"

if [ ! -x "$venv/bin/python" ]; then
    "${PYTHON:-python3}" -m venv "$venv"
fi
# shellcheck disable=SC1091
. "$venv/bin/activate"
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    extra=""
    [ "${1:-base}" = dev ] && extra="[dev]"
    python -m pip install --quiet --disable-pip-version-check -c "$here/constraints.txt" -e "$here$extra"
    printf '%s' "$wanted" > "$stamp"
fi
