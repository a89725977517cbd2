#!/usr/bin/env bash
# Follows a job by its server-sent events until it has ended.
# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
usage 1 "$0 ID" "$@"

event=
request "/jobs/$1/events" --no-buffer --header "Accept: text/event-stream" | while IFS= read -r line || [ -n "$line" ]; do
    line=${line%$'\r'}
    case $line in
    "event: "*) event=${line#event: } ;;
    "data: "*)
        data=${line#data: }
        case $event in
        status) jq --raw-output '"\(.id) \(.status)"' <<<"$data" ;;
        progress) jq --raw-output '"step \(.step)/\(.total)"' <<<"$data" ;;
        preview) jq --raw-output '"a picture of \(.image | length) letters, after step \(.step)"' <<<"$data" ;;
        end) jq --raw-output '.error // empty | "\(.code): \(.message)"' <<<"$data" ;;
        esac
        ;;
    "{"*) complain <<<"$line" ;;
    esac
done
