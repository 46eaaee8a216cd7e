# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# PostgreSQL 15 and pgbench's select-only script, unpinned.
# shellcheck shell=bash

POSTGRES=/usr/lib/postgresql/15/bin
POSTGRES_PORT=17700

# It refuses to run as root. The pins are for its group; the capability is for the
# shim, which may be where that user may not look.
AS_POSTGRES=(setpriv --reuid postgres --regid postgres --clear-groups
	--inh-caps +dac_read_search --ambient-caps +dac_read_search)

cell pgbench_c1 tx/s higher "tcp shim cgroup naive unix"
cell pgbench_c8 tx/s higher "tcp shim cgroup naive unix" quick

# serve_postgres SIDE DIRECTORY PORT: in an IPC namespace of its own, so that no
# shared memory outlives it.
serve_postgres() {
	serve "$1" "$2/.s.PGSQL.$3" unshare --ipc "${AS_POSTGRES[@]}" \
		"$POSTGRES/postgres" -D "$2" -p "$3" \
		-c "unix_socket_directories=$2" -c listen_addresses=127.0.0.1 \
		-c dynamic_shared_memory_type=sysv -c fsync=off -c autovacuum=off
	eventually "$POSTGRES/pg_isready" -h "$2" -p "$3" ||
		die "postgres does not accept connections ($1)"
}

# make_cluster DIRECTORY: with pgbench's tables, for each side to copy.
make_cluster() {
	local log=$1.log

	install -d -m 700 -o postgres -g postgres "$1"
	run "$log" "${AS_POSTGRES[@]}" "$POSTGRES/initdb" -D "$1" -A trust \
		--no-sync --locale C.UTF-8 || round_failed "$log" "initdb failed"
	serve_postgres tcp "$1" "$POSTGRES_PORT"
	run "$log" "$POSTGRES/pgbench" -i -q -s 1 -h "$1" -p "$POSTGRES_PORT" \
		-U postgres postgres || round_failed "$log" "pgbench -i failed"
	stop_servers
}

postgres_start() { # SIDE
	local made=$SANDBOX/cluster own=$SANDBOX/cluster-$1 port

	need "$POSTGRES/postgres" "$POSTGRES/pgbench"
	[[ -e $made ]] || make_cluster "$made"
	cp -a "$made" "$own"
	port=$(side_port "$POSTGRES_PORT" "$1")
	serve_postgres "$1" "$own" "$port"
	# Its caches are cold; by the way in that is not measured.
	run "$own.log" "$POSTGRES/pgbench" -n -S -t 2000 -h "$own" -p "$port" \
		-U postgres postgres || round_failed "$own.log" "pgbench failed"
}

postgres_round() { # CELL SIDE SECONDS RAW
	local host=127.0.0.1 clients each

	[[ $2 != unix ]] || host=$SANDBOX/cluster-unix
	case $1 in
	*_c1) clients=(-c 1) each=$(requests_for 7000 "$3") ;;
	*_c8) clients=(-c 8 -j 2) each=$(requests_for 1200 "$3") ;;
	esac
	client "$2" "$4" "$POSTGRES/pgbench" -n -S "${clients[@]}" -t "$each" \
		-h "$host" -p "$(side_port "$POSTGRES_PORT" "$2")" \
		-U postgres postgres
	says "$4" '^number of failed transactions: 0 '
	says "$4" '^number of transactions actually processed: ([0-9]+)/\1$'
	awk '
		/^latency average = / { print "average", $4 * 1000 }
		/^tps = .*without initial connection time/ { printf "value %.1f\n", $3 }' "$4"
	cpu_metric "$((each * clients[1]))"
}
