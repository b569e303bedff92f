# What the scripts here share; sourced by bash, not run.
# shellcheck shell=bash

set -euo pipefail

top=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cbindgen_version=0.29.4

say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename -- "$0"): $*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# The cbindgen of the one version that the header is written with: another one may write another
# header. Prints its path, or fails.
find_cbindgen() {
    local candidate
    for candidate in "$top/target/tools/bin/cbindgen" "$(command -v cbindgen || :)"; do
        if [ -x "$candidate" ] && [ "$("$candidate" --version)" = "cbindgen $cbindgen_version" ]; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

# step NAME COMMAND...: one part of a long job, under a heading, its time after it. A part that
# fails does not stop the others; steps_end tells.
steps_passed=0
steps_failed=()
step() {
    local name=$1 started=$SECONDS outcome=ok
    shift
    printf '\n== %s\n' "$name"
    if "$@"; then
        steps_passed=$((steps_passed + 1))
    else
        outcome=FAILED
        steps_failed+=("$name")
    fi
    printf -- '-- %s: %s, %d s\n' "$name" "$outcome" $((SECONDS - started))
}

# The closing lines; fails if a step did.
steps_end() {
    local name
    printf '\n'
    for name in "${steps_failed[@]+"${steps_failed[@]}"}"; do
        printf 'FAILED: %s\n' "$name"
    done
    printf '%s: %d passed, %d failed\n' "$(basename -- "$0")" "$steps_passed" "${#steps_failed[@]}"
    [ ${#steps_failed[@]} = 0 ]
}
