#!/usr/bin/env bash
# The tests that need a CUDA GPU, then the benchmarks, one JSON line each: under ten minutes on a fast card with 16 cores.
#   bash scripts/gpu_check.sh [WHEELS]
# For a machine without network that has torch, numpy, typer, rich, lightning, safetensors and xarray. All else comes from
# the folder WHEELS (wheels/ by default, git ignores it) into an environment beside this machine's packages, which stay
# as they are, torch among them. Fill the folder where there is a network, for that machine's Python and platform:
#   bash scripts/gpu_check.sh --list | xargs pip download --no-deps --only-binary :all: --dest wheels
# (and, where it is another, --python-version 3.12 --platform manylinux_2_28_x86_64).
# What it prints goes to $OUT/gpu_check.jsonl too where OUT is set, the output of tests and benchmarks to $OUT/*.log.
# Exit code 69: no GPU; 66: no wheels; 1: a test or a benchmark failed.
set -uo pipefail
cd "$(dirname "$0")/.."

# what weatherml and its GPU tests load, without what such a machine has
carried="absl-py|annotated-types|attrs|cffi|cftime|click|cloudpickle|contourpy|cycler|dask|distributed|donfig|eccodes|
eccodeslib|eckitlib|filelock|findlibs|fonttools|fsspec|google-crc32c|grpcio|importlib-metadata|iniconfig|jinja2|joblib|
kiwisolver|lazy-importer|lightning-fabric|lightning-utilities|locket|markdown|markupsafe|matplotlib|msgpack|narwhals|
netcdf4|numcodecs|packaging|pandas|partd|pillow|pluggy|protobuf|psutil|pycparser|pydantic|pydantic-core|pygments|
pyparsing|pyproj|pytest|python-dateutil|pyyaml|scikit-learn|scipy|sortedcontainers|tblib|tensorboard|
tensorboard-data-server|threadpoolctl|toolz|tornado|tqdm|typing-extensions|typing-inspection|tzdata|werkzeug|xarray|zarr|
zict|zipp|certifi"

list() { grep -E "^(${carried//$'\n'/})==" constraints.txt; }

if [ "${1:-}" = --list ]; then
    list
    exit
fi
wheels="${1:-wheels}"
out="${OUT:-$(mktemp -d)}"
venv="${WML_GPU_VENV:-.venv-gpu}"
python="${PYTHON:-python3}"

if ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2> /dev/null; then
    echo "error: cuda: torch sees no GPU; run this on a machine with one" >&2
    exit 69
fi
if [ ! -d "$wheels" ]; then
    echo "error: $wheels: no such folder; fill it as the head of $0 says" >&2
    exit 66
fi

# its own environment: what is carried lies before what is there
"$python" -m venv "$venv"
list > "$venv/carried.txt"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --find-links "$wheels" \
    -r "$venv/carried.txt" || exit 66
there="$("$python" -c 'import sys; print(*(path for path in sys.path if path.endswith("-packages")), sep="\n")')"
"$venv/bin/python" - "$PWD" "$there" << 'SETUP'
import sys, sysconfig, tomllib
from pathlib import Path

packages = Path(sysconfig.get_path("purelib"))
packages.joinpath("weatherml.pth").write_text("\n".join(sys.argv[1:]))
version = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
about = packages / f"weatherml-{version}.dist-info"
about.mkdir(exist_ok=True)
about.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: weatherml\nVersion: {version}\n")
wml = Path(sys.executable).with_name("wml")
wml.write_text(f"#!{sys.executable}\nfrom cli.main import app\napp()\n")
wml.chmod(0o755)
SETUP

failed=0
check() { # NAME SECONDS COMMAND...: run one within a time, keep its output, print its last line
    local name="$1" limit="$2" code began=$SECONDS
    shift 2
    timeout "$limit" "$venv/bin/python" "$@" > "$out/$name.out" 2> "$out/$name.log"
    code=$?
    [ "$code" = 0 ] || failed=1
    if [ "$name" = tests ] || [ "$code" != 0 ]; then
        printf '{"check": "%s", "exit_code": %d, "seconds": %d, "last": "%s"}\n' "$name" "$code" "$((SECONDS - began))" \
            "$(cat "$out/$name.out" "$out/$name.log" | tail -n 1 | tr -d '"\\')"
    else
        tail -n 1 "$out/$name.out"
    fi | tee -a "$out/gpu_check.jsonl"
}

work="$out/work"
check tests 180 -m pytest -q -p no:cacheprovider -W default -m gpu tests/gpu # other versions warn of other things
check train_step 60 benchmarks/train_step.py --device cuda
check memory 120 benchmarks/memory.py --device cuda
check rollout 180 benchmarks/rollout.py --device cuda --work "$work"
rm -rf "$work"
exit "$failed"
