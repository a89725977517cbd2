#!/usr/bin/env bash
# Lists all jobs, newest first, page by page: id, status, time, prompt, parted by tabs.
# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"

filters=(--get --data-urlencode "limit=${LIMIT:-100}")
[ -z "${1:-}" ] || filters+=(--data-urlencode "status=$1")
[ -z "${2:-}" ] || filters+=(--data-urlencode "q=$2")
if [[ ${1:-} == -* ]]; then
    usage 99 "$0 [STATUS [TEXT IN THE PROMPT]]"
fi

after=()
while :; do
    page=$(answer /jobs "${filters[@]}" "${after[@]}")
    jq --raw-output '.data[] | [.id, .status, .created_at, .params.prompt] | @tsv' <<<"$page"
    [ "$(jq .has_more <<<"$page")" = true ] || break
    after=(--data-urlencode "after=$(jq --raw-output .last_id <<<"$page")")
done
