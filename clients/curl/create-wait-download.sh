#!/usr/bin/env bash
# Makes a clip, shows its progress, saves it.
# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
usage 1 "$0 PROMPT [FILE]" "$@"

# With the key it may be sent again, whatever became of the first try: it makes one job.
job=$(answer /videos --json "$(jq --null-input --arg prompt "$1" '{prompt: $prompt}')" \
    --header "Idempotency-Key: $(date +%s)-$$-$RANDOM$RANDOM")
id=$(jq --raw-output .id <<<"$job")
file=${2:-$id.mp4}

while :; do
    status=$(jq --raw-output .status <<<"$job")
    jq --raw-output '"\(.id) \(.status) \(.progress.percent)%"' <<<"$job" >&2
    case $status in
    completed) break ;;
    failed | cancelled)
        jq --raw-output '.error | if . then "\(.code): \(.message)" else empty end' <<<"$job" >&2
        exit 1
        ;;
    esac
    sleep 0.5
    job=$(answer "/jobs/$id")
done

request "/videos/$id" --output "$file.part" --retry 5 || {
    code=$?
    complain <"$file.part"
    exit "$code"
}
mv -- "$file.part" "$file"
echo "$file"
