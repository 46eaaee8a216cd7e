#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# PostgreSQL, both ends accelerated.

load helpers
load programs

POSTGRES=/usr/lib/postgresql/15/bin

# as_postgres COMMAND...: the server will not run as root, and is a service
# user: pins are made for its group, ahead.
as_postgres() {
	setpriv --reuid postgres --regid postgres --clear-groups "$@"
}

setup_file() {
	local cluster=$SANDBOX/cluster

	# One for all tests, made before each test gets a copy.
	install -d -o postgres -g postgres "$cluster"
	cd "$cluster" || return
	as_postgres "$POSTGRES/initdb" -D "$cluster" -A trust --no-sync \
		--locale C.UTF-8 >"$SANDBOX/initdb.log" 2>&1
}

teardown_file() {
	rm -rf "$SANDBOX/cluster"
}

setup() {
	enter_directory
	publish
	export PGHOST=127.0.0.1 PGPORT=7020 PGUSER=postgres PGDATABASE=postgres
	configure "pin_group = postgres"
	"$SOCKSHUNT" load
	cp -a "$SANDBOX/cluster" data
	start setpriv --reuid postgres --regid postgres --clear-groups \
		env "LD_PRELOAD=$SHIM" "$POSTGRES/postgres" -D "$PWD/data" \
		-p "$PGPORT" -c listen_addresses="$PGHOST" \
		-c unix_socket_directories= -c fsync=off -c max_wal_size=4GB
	POSTMASTER=$SERVER
	eventually grep -q 'ready to accept connections' "$LOG"
}

teardown() {
	# At once, and orderly: else its shared memory stays.
	kill -INT "$POSTMASTER"
	eventually ended "$POSTMASTER"
	leave_directory
}

ask() {
	client psql -qXAt -v ON_ERROR_STOP=1 "$@"
}

@test "postgres: pgbench by eight clients, and the books balance" {
	local sums

	client "$POSTGRES/pgbench" -i -q -s 2
	run -0 client "$POSTGRES/pgbench" -n -c 8 -j 2 -T 3
	[[ $output == *"number of failed transactions: 0 "* ]]
	run -0 client "$POSTGRES/pgbench" -n -c 8 -j 2 -T 2 -M prepared -C
	[[ $output == *"number of failed transactions: 0 "* ]]
	sums=$(ask -c "SELECT sum(abalance) FROM pgbench_accounts
		UNION ALL SELECT sum(tbalance) FROM pgbench_tellers
		UNION ALL SELECT sum(bbalance) FROM pgbench_branches
		UNION ALL SELECT sum(delta) FROM pgbench_history")
	[[ $(wc -l <<<"$sums") -eq 4 && $(sort -u <<<"$sums" | wc -l) -eq 1 ]]
	assert_redirected 2000
}

@test "postgres: COPY of 200 MB out and in and out again" {
	local want

	ask -c "COPY (SELECT i, repeat(md5(i::text), 32)
		FROM generate_series(1, 200000) i) TO STDOUT" >out
	[[ $(stat -c %s out) -gt 200000000 ]]
	[[ $(awk '$1 == NR && length($2) == 1024' out | wc -l) -eq 200000 ]]
	want=$(hash_of <out)
	ask -c "CREATE UNLOGGED TABLE t (i int, text text)"
	ask -c "COPY t FROM STDIN" <out
	[[ $(ask -c "COPY t TO STDOUT" | hash_of) == "$want" ]]
	assert_redirected 40
}

@test "postgres: notifications arrive, all and in order" {
	local i

	{
		# psql shows what has arrived after each statement.
		printf '%s\n' 'LISTEN news;' "SELECT 'ready';"
		for ((i = 0; i < 300; i++)); do
			echo 'SELECT pg_sleep(0.05);'
		done
	} >listen
	background got psql -qXAt -f listen
	eventually grep -q ready got
	for ((i = 0; i < 500; i++)); do
		echo "NOTIFY news, 'item-$i';"
	done | ask
	eventually grep -q '"item-499"' got
	grep -o '"item-[0-9]*"' got >seen
	for ((i = 0; i < 500; i++)); do
		echo "\"item-$i\""
	done | cmp - seen
	assert_redirected 1000
}

sleeping() {
	[[ $(ask -c "SELECT count(*) FROM pg_stat_activity
		WHERE query LIKE 'SELECT pg_sleep%'
		AND state = 'active'") -eq "$1" ]]
}

@test "postgres: a statement is cancelled, and its session goes on" {
	# By another session.
	printf '%s\n' 'SELECT pg_sleep(60);' "SELECT 'going ' || 'on';" >statements
	background got psql -XAt -f statements
	eventually sleeping 1
	ask -c "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
		WHERE query LIKE 'SELECT pg_sleep%'"
	eventually grep -q 'going on' got
	sleeping 0

	# By the interrupt key.
	mkfifo keys
	exec 4<>keys
	background typed sh -c 'exec script -qefc "psql -X" /dev/null <keys 2>&1'
	echo 'SELECT pg_sleep(60);' >&4
	eventually sleeping 1
	kill -INT "$(pgrep -n -x psql)"
	eventually grep -q 'canceling statement due to user request' typed
	sleeping 0
	echo "SELECT 'still ' || 'there';" >&4
	eventually grep -q 'still there' typed
	exec 4>&-

	# And a client that gives up at once.
	background cancelled sh -c 'exec psql -X -c "SELECT pg_sleep(60)" 2>&1'
	eventually sleeping 1
	kill -INT "${SERVERS[-1]}"
	eventually grep -q 'canceling statement due to user request' cancelled
	sleeping 0
	assert_redirected 40
}
