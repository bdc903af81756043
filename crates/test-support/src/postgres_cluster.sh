#!/bin/sh
# A PostgreSQL server for tests, that lives exactly as long as whoever started this script.
#
# Prints one line, the server's url, once the server answers. Runs until standard input ends, which happens
# when the starter ends, by whatever cause; then stops the server and removes all of it. Until then it reads
# commands, one on each line: stop, start, restart, deadlocks; it prints "done" after each, and before that, to the
# last, how often the server ended a transaction because several waited for each other in a circle. The server listens
# on a unix socket in a folder of its own that nobody else may enter.
#
# With CERTIFICATES PORT, it also listens on that port of the loopback address, encrypted with server.crt and
# server.key from that folder, for whoever has the password "secret".
set -eu
certificates=${1:-}
port=${2:-}

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
if [ -n "$certificates" ]; then
    cp "$certificates/server.crt" "$certificates/server.key" "$home/data/"
    [ -z "$as" ] || chown "$user" "$home/data/server.crt" "$home/data/server.key"
    chmod 600 "$home/data/server.key"
    cat >>"$home/data/postgresql.conf" <<END
ssl = on
port = $port
END
    cat >"$home/data/pg_hba.conf" <<END
local all all trust
hostssl all all 127.0.0.1/32 scram-sha-256
END
fi
cat >>"$home/data/postgresql.conf" <<END
listen_addresses = '${port:+127.0.0.1}'
unix_socket_directories = '$home'
max_connections = 300
fsync = off
synchronous_commit = off
full_page_writes = off
END
start() {
    $as "$bin/pg_ctl" -D "$home/data" -l "$home/server.log" -w start </dev/null >"$home/log" 2>&1 3>&-
}
stop() {
    $as "$bin/pg_ctl" -D "$home/data" -m immediate -w stop </dev/null >"$home/log" 2>&1 3>&-
}
query() {
    $as "$bin/psql" -h "$home" ${port:+-p "$port"} -U fame -d postgres -Atq -c "$1" </dev/null 3>&-
}
exec 3>&1
start || failed_start
if [ -n "$certificates" ]; then
    query "ALTER USER fame PASSWORD 'secret'"
fi

socket=$(printf %s "$home" | sed 's:%:%25:g; s:/:%2F:g')
echo "postgres://fame@$socket${port:+:$port}/postgres"
exec >/dev/null 2>&1

while read -r command; do
    case $command in
    stop) stop ;;
    start) start ;;
    restart) stop && start ;;
    deadlocks) query "SELECT COALESCE(SUM(deadlocks), 0) FROM pg_stat_database" >&3 ;;
    *) false ;;
    esac && echo done >&3 || echo failed >&3
done
