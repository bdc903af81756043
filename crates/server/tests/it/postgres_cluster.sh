#!/bin/sh
# A PostgreSQL server for tests, that lives exactly as long as whoever started this script.
#
# Prints one line, the server's url, once the server answers. Runs until standard input ends, which happens
# when the starter ends, by whatever cause; then stops the server and removes all of it. Until then it does what the
# lines of standard input say: start, stop (in order, ending all connections) or crash. The server listens on a
# unix socket in a folder of its own that nobody else may enter, never on the network.
set -eu

fail() {
    echo "postgres_cluster: $1" >&2
    exit 1
}

# Where the newest PostgreSQL keeps its programs: Debian's place, else the search path.
find_programs() {
    newest=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5 -V | tail -n 1)
    if [ -x "$newest/initdb" ]; then
        echo "$newest"
    elif command -v initdb >/dev/null 2>&1; then
        dirname "$(command -v initdb)"
    fi
}

# PostgreSQL refuses to run as root: find somebody else.
find_user() {
    for name in postgres nobody; do
        if id -u "$name" >/dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
}

bin=$(find_programs)
[ -n "$bin" ] || fail "PostgreSQL is missing: install the Debian package postgresql, or run ./test"

# A socket's path is limited to about a hundred bytes.
base=${TMPDIR:-/tmp}
[ ${#base} -le 60 ] || base=/tmp
home=$(mktemp -d "$base/fame-pg.XXXXXX")

as=
end() {
    $as "$bin/pg_ctl" -D "$home/data" -m immediate stop >/dev/null 2>&1 || :
    rm -rf "$home"
}
trap end EXIT
trap 'exit 1' HUP INT PIPE TERM

if [ "$(id -u)" -eq 0 ]; then
    user=$(find_user)
    [ -n "$user" ] || fail "there is neither a user postgres nor a user nobody to run PostgreSQL as"
    chown "$user" "$home"
    if command -v setpriv >/dev/null 2>&1; then
        as="setpriv --reuid=$(id -u "$user") --regid=$(id -g "$user") --clear-groups"
    else
        as="runuser -u $user --"
    fi
fi
cd "$home"
export LC_ALL=C

failed_start() {
    $as cat "$home/log" >&2 || :
    fail "PostgreSQL did not start"
}

# Nothing here must survive a power cut, so nothing waits for a disk.
$as "$bin/initdb" -D "$home/data" -U fame -A trust -E UTF8 --locale=C --no-sync </dev/null >/dev/null 2>"$home/log" ||
    failed_start
cat >>"$home/data/postgresql.conf" <<END
listen_addresses = ''
unix_socket_directories = '$home'
max_connections = 300
fsync = off
synchronous_commit = off
full_page_writes = off
END
$as "$bin/pg_ctl" -D "$home/data" -l "$home/server.log" -w start </dev/null >"$home/log" 2>&1 || failed_start

echo "postgres://fame@$(printf %s "$home" | sed 's:%:%25:g; s:/:%2F:g')/postgres"
exec >/dev/null 2>&1

while read -r wish; do
    case $wish in
    start) $as "$bin/pg_ctl" -D "$home/data" -l "$home/server.log" -w start </dev/null || : ;;
    stop) $as "$bin/pg_ctl" -D "$home/data" -m fast -w stop </dev/null || : ;;
    crash) $as "$bin/pg_ctl" -D "$home/data" -m immediate -w stop </dev/null || : ;;
    esac
done
