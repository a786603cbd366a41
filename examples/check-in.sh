#!/bin/sh
# A check-in from a shell script, once per period (cron, a systemd timer): check-in.sh URL VERSION
# Prints the name of the version that is tagged "latest". Needs curl and jq.
set -eu
[ "${DO_NOT_TRACK:-0}" = 0 ] || exit 0

body=$(jq -nc --arg version "$2" --arg arch "$(uname -m)" '{appVersion: $version, extraTagInfo: {hostArch: $arch}}')
curl --silent --show-error --fail --max-time 30 --max-filesize 1048576 \
    --header 'Content-Type: application/json' --data "$body" "$1/v1/checkupgrade" |
    jq -r 'first(.versions[] | select(.tags // [] | index("latest"))).name'
