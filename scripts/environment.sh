# Sourced by the other scripts: makes .venv with the pinned packages if it is not there, and activates it.
# Torch comes from its pin: users with a GPU get the CUDA build of the same version. With WML_LOCKED, as in CI, the
# development packages are those of constraints.lock, by hash.
here="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${WML_VENV:-$here/.venv}"
stamp="$venv/.installed-${1:-base}"
wanted="$(cat "$here/pyproject.toml" "$here/constraints.txt" "$here/constraints.lock" | cksum)"

if [ ! -x "$venv/bin/python" ]; then
    "${PYTHON:-python3}" -m venv "$venv"
fi
# shellcheck disable=SC1091
. "$venv/bin/activate"
unset PYTHONDONTWRITEBYTECODE  # the many commands that a script starts would compile everything each time
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    extra=""
    [ "${1:-base}" = dev ] && extra="[dev]"
    if [ -n "${WML_LOCKED:-}" ]; then  # every file by its hash, before anything asks for it
        python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$here/constraints.lock"
    fi
    python -m pip install --quiet --disable-pip-version-check -c "$here/constraints.txt" -e "$here$extra"
    printf '%s' "$wanted" > "$stamp"
fi
