# Counting checks in a shell script; sourced by bash, not run.
# shellcheck shell=bash

checks_passed=0
checks_failed=0

# check NAME COMMAND...: runs the command; what it printed is shown only if it failed.
check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        checks_passed=$((checks_passed + 1))
        printf 'ok      %s\n' "$name"
    else
        checks_failed=$((checks_failed + 1))
        printf 'FAILED  %s\n' "$name"
        printf '%s\n' "$output" | sed 's/^/        /'
    fi
}

# The closing line; fails if a check did, or if there was none.
checks_end() {
    printf '%d passed, %d failed\n' "$checks_passed" "$checks_failed"
    [ "$checks_failed" = 0 ] && [ "$checks_passed" -gt 0 ]
}
