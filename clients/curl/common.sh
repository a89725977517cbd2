# shellcheck shell=bash
# What the scripts share. T2V_URL says where the service is, T2V_API_KEY holds the key where one is needed.
set -euo pipefail

for program in curl jq; do
    command -v "$program" >/dev/null || {
        echo "$program is needed" >&2
        exit 127
    }
done

scratch=$(mktemp)
trap 'rm -f -- "$scratch"' EXIT

# request PATH [OPTIONS OF CURL]: the bare answer. The key goes through a file, so that no list of processes shows it.
request() {
    local path=$1
    shift
    curl --silent --show-error --fail-with-body --connect-timeout 10 \
        --config <(printf 'header = "Authorization: Bearer %s"\n' "${T2V_API_KEY:-}") \
        "$@" "${T2V_URL:-http://127.0.0.1:8000}$path"
}

# answer PATH [OPTIONS OF CURL]: the answer's JSON, or what is wrong on standard error and curl's exit code. Asks again
# after 429, 503 and the like, when Retry-After says so.
answer() {
    local code=0
    # Into a file, which curl empties before it tries again.
    request "$@" --output "$scratch" --retry 5 --retry-max-time 60 || code=$?
    if [ "$code" != 0 ]; then
        complain <"$scratch"
        return "$code"
    fi
    cat "$scratch"
}

# complain: an error's message, from standard input.
complain() {
    jq --raw-output '.error.message? // empty' >&2 2>/dev/null || true
}

# usage N TEXT ARGUMENTS…: ends the script unless there are at least N arguments.
usage() {
    local least=$1 text=$2
    shift 2
    if [ "$#" -lt "$least" ]; then
        echo "usage: $text" >&2
        exit 2
    fi
}
