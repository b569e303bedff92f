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
steps_logs=()
step() {
    local name=$1 started=$SECONDS outcome=ok log
    shift
    log=$(mktemp)
    printf '\n== %s\n' "$name"
    if "$@" 2>&1 | tee -- "$log"; then
        steps_passed=$((steps_passed + 1))
        rm -f -- "$log"
    else
        outcome=FAILED
        steps_failed+=("$name")
        steps_logs+=("$log")
    fi
    printf -- '-- %s: %s, %d s\n' "$name" "$outcome" $((SECONDS - started))
}

# failures LOG: what failed, in one line: the parts of a part, else the tests as meson and cargo name
# them, else the checks of a script.
failures() {
    sed -nE \
        -e 's,^FAILED: ,1 ,p' \
        -e 's,^ *[0-9]+/[0-9]+ ([^ ]+ / )?(.*[^ ]) +(FAIL|ERROR|TIMEOUT|INTERRUPT|UNEXPECTEDPASS) .*,2 \2,p' \
        -e 's,^test (.*) \.\.\. FAILED$,2 \1,p' \
        -e 's,^FAILED  ,3 ,p' "$1" | sort -s -n -k1,1 | awk '
            NR == 1 { kind = $1 }
            $1 == kind && !seen[$0]++ { printf "%s%s", joint, substr($0, 3); joint = "; " }'
}

# last_words LOG COUNT: the last lines of what a failed part said, without the lists and counts that
# come after a test's own words.
last_words() {
    sed -E -e '/^(Ok|Expected Fail|Fail|Unexpected Pass|Skipped|Timeout): +[0-9]+ *$/d' \
        -e '/^ *[0-9]+\/[0-9]+ .* (OK|SKIP) /d' -e '/^test .* \.\.\. (ok|ignored)$/d' \
        -e '/^ok  /d' -e '/^[[:space:]]*$/d' -e '/^(―+|Full log written.*|Summary of Failures:)$/d' "$1" | tail -n "$2" | cut -c1-300
}

# The closing lines; fails if a step did. Whoever sees no more than the last 40 lines sees what failed
# and how.
steps_end() {
    local i more
    for i in "${!steps_failed[@]}"; do
        printf '\n== the end of: %s\n' "${steps_failed[i]}"
        last_words "${steps_logs[i]}" $((24 / ${#steps_failed[@]} + 1))
    done
    printf '\n'
    for i in "${!steps_failed[@]}"; do
        more=$(failures "${steps_logs[i]}")
        printf 'FAILED: %s\n' "${steps_failed[i]}${more:+: $more}"
        rm -f -- "${steps_logs[i]}"
    done
    printf '%s: %d passed, %d failed\n' "$(basename -- "$0")" "$steps_passed" "${#steps_failed[@]}"
    [ ${#steps_failed[@]} = 0 ]
}
