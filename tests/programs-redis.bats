#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# redis, both ends accelerated.
# shellcheck disable=SC2030,SC2031 # bats runs each test in a subshell

load helpers
load programs

setup() {
	enter_directory
}

teardown() {
	leave_directory
}

start_redis() { # PORT
	start shimmed redis-server --port "$1" --save '' --appendonly no
	wait_for_port "$1"
}

@test "redis: a value of 64 MB goes in and comes back the same" {
	local before after

	start_redis 7001
	head -c $((64 << 20)) /dev/urandom >value
	before=$(hash_of <value)
	shimmed redis-cli -p 7001 -x set big <value
	# redis-cli ends a reply that is no terminal's with a newline.
	after=$(shimmed redis-cli -p 7001 get big | head -c $((64 << 20)) | hash_of)
	[[ $after == "$before" ]]
	assert_counter redirected_bytes -gt 0
}

@test "redis: MONITOR shows every command in order" {
	local i

	start_redis 7002
	background monitor redis-cli -p 7002 monitor
	eventually grep -q OK monitor
	for ((i = 0; i < 500; i++)); do
		echo "set key$i value$i"
	done | shimmed redis-cli -p 7002 >/dev/null
	eventually grep -q '"value499"' monitor
	grep -o '"value[0-9]*"' monitor >seen
	for ((i = 0; i < 500; i++)); do
		echo "\"value$i\""
	done | cmp - seen
	assert_counter redirected_messages -gt 500
}

@test "redis: a subscriber gets every message in order" {
	local i

	start_redis 7003
	background got redis-cli -p 7003 subscribe news
	eventually grep -q subscribe got
	for ((i = 0; i < 500; i++)); do
		echo "publish news item-$i"
	done | shimmed redis-cli -p 7003 >/dev/null
	eventually grep -q item-499 got
	[[ $(grep -c item- got) -eq 500 ]]
	grep item- got | sort -c -t- -k2n
	assert_counter redirected_messages -gt 500
}

@test "redis: redis-benchmark, every command, pipelined and not" {
	start_redis 7004
	run -0 shimmed redis-benchmark -p 7004 -q -n 5000 -c 50
	[[ $output != *rror* ]]
	run -0 shimmed redis-benchmark -p 7004 -q -n 50000 -c 20 -P 16 -d 1024 -t set,get
	[[ $output != *rror* ]]
	assert_counter redirected_messages -gt 50000
	assert_counter refused -eq 0
}

@test "redis: two shells, no other step" {
	# Exactly what README says, by environment alone.
	SOCKSHUNT_CONF=$CONF LD_PRELOAD=$SHIM start redis-server --port 7005 --save ''
	wait_for_port 7005
	SOCKSHUNT_CONF=$CONF LD_PRELOAD=$SHIM redis-benchmark -p 7005 -q -t get \
		-n 10000
	assert_counter redirected_messages -gt 10000
}

# fill PORT SEED KEYS: many kinds of keys, by the protocol's mass insertion.
fill() {
	python3 "$PROGS/redis_fill.py" "$2" "$3" >commands
	run -0 client redis-cli -p "$1" --pipe <commands
	[[ $output == *"errors: 0, replies: "* ]]
}

# digest PORT: of everything in the data set.
digest() {
	client redis-cli -p "$1" debug digest
}

# restart_redis PORT OPTION...: with the files that are there, all loaded.
restart_redis() {
	local port=$1

	shift
	start shimmed redis-server --port "$port" --enable-debug-command yes "$@"
	wait_for_port "$port"
	eventually grep -q 'Ready to accept connections' "$LOG"
}

@test "redis: all is back after a restart, by snapshot and by append-only file" {
	local keys before

	restart_redis 7010 --save '3600 1' --appendonly no
	fill 7010 1 2500
	keys=$(client redis-cli -p 7010 dbsize)
	[[ $keys -eq 2500 ]]
	before=$(digest 7010)
	client redis-cli -p 7010 shutdown save || true
	eventually ended "$SERVER"
	[[ -s dump.rdb ]]

	restart_redis 7010 --save '' --appendonly no
	[[ $(digest 7010) == "$before" ]]
	# From here on every command is written down; the first rewrite is of
	# what is there already.
	client redis-cli -p 7010 config set appendfsync always
	client redis-cli -p 7010 config set appendonly yes
	fill 7010 2 2500
	before=$(digest 7010)
	kill -9 "$SERVER"
	eventually ended "$SERVER"
	rm dump.rdb

	restart_redis 7010 --save '' --appendonly yes
	[[ $(client redis-cli -p 7010 dbsize) -eq 5000 ]]
	[[ $(digest 7010) == "$before" ]]
	assert_redirected 50
}

# in_step MASTER REPLICA: the replica has seen all that the master has done.
in_step() {
	local offset

	offset=$(info "$1" master_repl_offset)
	[[ -n $offset && $(info "$2" slave_repl_offset) == "$offset" &&
		$(info "$2" master_link_status) == up ]]
}

# info PORT FIELD
info() {
	client redis-cli -p "$1" info | tr -d '\r' | sed -n "s/^$2://p"
}

same_data() { # PORT PORT
	local digest

	digest=$(digest "$1")
	[[ ${#digest} -eq 40 && $(digest "$2") == "$digest" ]]
}

only_the_link() {
	[[ $(entries) -eq 2 ]]
}

@test "redis: a replica through full sync, stream, a cut link and partial resync" {
	local before

	mkdir master replica
	restart_redis 7011 --save '' --dir master --repl-backlog-size 64mb \
		--repl-diskless-sync-delay 0
	fill 7011 3 3000
	restart_redis 7012 --save '' --dir replica --replicaof '127.0.0.1 7011'
	# During and after the full synchronization.
	fill 7011 4 2000
	eventually in_step 7011 7012
	same_data 7011 7012
	[[ $(info 7011 sync_full) -eq 1 ]]

	# Nobody else is connected: what moves now moves over the link.
	eventually only_the_link
	fill 7011 5 2000
	eventually in_step 7011 7012
	same_data 7011 7012

	[[ $(client redis-cli -p 7011 client kill type replica) -eq 1 ]]
	fill 7011 6 2000
	eventually in_step 7011 7012
	[[ $(info 7011 sync_full) -eq 1 ]]
	[[ $(info 7011 sync_partial_ok) -eq 1 ]]
	same_data 7011 7012
	[[ $(client redis-cli -p 7012 dbsize) -eq 9000 ]]

	# The new link is accelerated as the old one was.
	eventually only_the_link
	before=$(counter redirected_messages)
	client redis-benchmark -p 7011 -q -n 2000 -c 1 -t set >/dev/null
	eventually in_step 7011 7012
	same_data 7011 7012
	# A command, its reply, and its copy to the replica.
	assert_redirected $((before + 5500))
}
