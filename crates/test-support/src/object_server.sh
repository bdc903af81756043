#!/bin/sh
# Runs a command as long as whoever started this script: until standard input ends. Arguments: the signal that ends the
# command, a folder to remove then or nothing, the command.
signal=$1 folder=$2
shift 2
"$@" 2>&1 </dev/null &
server=$!
end() {
    kill -s "$signal" "$server" 2>/dev/null || :
    wait "$server" 2>/dev/null || :
    [ -z "$folder" ] || rm -rf "$folder"
}
trap end EXIT
trap 'exit 1' HUP INT PIPE TERM
while read -r _; do :; done
