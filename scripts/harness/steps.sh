# Runs named steps one after the other and counts them; sourced by scripts/test and .ci/run.
#
# A step that fails does not keep the next one from running. One that exits 77 did not fail but left
# something out: that is said at the end, and is a failure when CI=true.

steps_passed=() steps_failed=() steps_skipped=() steps_noted=()

# step NAME COMMAND…
step() {
    local name=$1 started=$SECONDS status
    shift
    echo
    echo "== $name"
    # In a subshell of its own and outside of any condition, so that `set -e` holds inside.
    set +e
    (set -e; "$@")
    status=$?
    set -e
    case $status in
        0) steps_passed+=("$name") ;;
        77) skip "$name" "a part of it was skipped, see above" ;;
        *) steps_failed+=("$name (status $status)") ;;
    esac
    echo "== $name: status $status after $((SECONDS - started)) s"
}

# skip NAME REASON
skip() {
    echo "!!! SKIPPED: $1: $2"
    if [ "${CI:-}" = true ]; then
        steps_failed+=("$1 (skipped, and CI=true: $2)")
    else
        steps_skipped+=("$1: $2")
    fi
}

# note TEXT: something that this machine cannot check, and that is no failure.
note() {
    echo "!!! NOT CHECKED HERE: $1"
    steps_noted+=("$1")
}

# Prints what ran; the last line counts the steps. Fails when one of them did.
finish_steps() {
    echo
    local line
    for line in ${steps_passed[@]+"${steps_passed[@]}"}; do echo "  passed   $line"; done
    for line in ${steps_noted[@]+"${steps_noted[@]}"}; do echo "  NOT CHECKED HERE   $line"; done
    for line in ${steps_skipped[@]+"${steps_skipped[@]}"}; do echo "  SKIPPED  $line"; done
    for line in ${steps_failed[@]+"${steps_failed[@]}"}; do echo "  FAILED   $line"; done
    echo
    line="${#steps_passed[@]} passed, ${#steps_failed[@]} failed"
    if [ ${#steps_skipped[@]} -ne 0 ]; then line+=", ${#steps_skipped[@]} skipped"; fi
    echo "$line"
    [ ${#steps_failed[@]} -eq 0 ]
}
