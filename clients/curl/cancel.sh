#!/usr/bin/env bash
# Cancels a job: a queued one at once, a running one within a step.
# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
usage 1 "$0 ID" "$@"

answer "/jobs/$1/cancel" --request POST | jq --raw-output '"\(.id) \(.status)"'
