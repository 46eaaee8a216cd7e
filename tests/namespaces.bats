#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Network namespaces: which connections are on this host, and which only look so.

load helpers

setup() {
	own_configuration
	add_pair left right
}

# add_pair LEFT RIGHT: two namespaces and a veth pair.
add_pair() {
	local ns

	for ns in "$@"; do
		ip netns add "$ns"
		ip -n "$ns" link set lo up
	done
	ip -n "$1" link add eth0 type veth peer name eth0 netns "$2"
	give_addresses "$1" 1
	give_addresses "$2" 2
}

give_addresses() { # NAMESPACE NUMBER
	ip -n "$1" addr add "10.0.0.$2/24" dev eth0
	ip -n "$1" addr add "fd00::$2/64" dev eth0 nodad
	ip -n "$1" link set eth0 up
}

teardown() {
	local ns

	end_servers
	for ns in $(ip netns list | cut -d ' ' -f 1); do
		ip netns del "$ns"
	done
	remove_cgroup
}

# redis_in NAMESPACE ADDRESS [shimmed]: a server, ready.
redis_in() {
	start ${3+"$3"} ip netns exec "$1" redis-server --bind "$2" --port 7000 \
		--protected-mode no --save ''
	eventually ip netns exec "$1" redis-cli -h "$2" -p 7000 ping
}

ask_from() { # NAMESPACE ADDRESS
	run -0 ip netns exec "$1" redis-cli -h "$2" -p 7000 -r 50 incr answer
	[[ ${lines[49]} == 50 ]]
}

@test "namespaces: the shim accelerates across a veth pair" {
	"$SOCKSHUNT" load
	redis_in right 10.0.0.2 shimmed
	LD_PRELOAD=$SHIM ask_from left 10.0.0.2
	assert_counter redirected_messages -ge 98
}

@test "namespaces: the same with IPv6" {
	"$SOCKSHUNT" load
	redis_in right fd00::2 shimmed
	LD_PRELOAD=$SHIM ask_from left fd00::2
	assert_counter redirected_messages -ge 98
}

@test "namespaces: the shim registers no connection from elsewhere" {
	"$SOCKSHUNT" load
	redis_in right 10.0.0.2 shimmed
	local own
	own=$(counter registered) # the readiness check from its own address
	ask_from left 10.0.0.2 # without the shim: as good as another host
	assert_counter registered -eq "$own"
	assert_counter unregistered_remote -ge 1
	assert_counter redirected_messages -eq 0
}

@test "namespaces: loopback of each namespace is its own" {
	"$SOCKSHUNT" load
	redis_in left 127.0.0.1 shimmed
	redis_in right 127.0.0.1 shimmed
	for ns in left right; do
		ip netns exec "$ns" redis-cli -p 7000 set where "$ns"
	done
	LD_PRELOAD=$SHIM ask_from left 127.0.0.1
	LD_PRELOAD=$SHIM ask_from right 127.0.0.1
	for ns in left right; do
		run -0 shimmed ip netns exec "$ns" redis-cli -p 7000 get where
		[[ $output == "$ns" ]]
	done
	assert_counter redirected_messages -ge 196
	assert_counter tcp_not_peer -eq 0
}

# A socket belongs to the cgroup it was made in.
redis_in_cgroup() {
	start in_cgroup ip netns exec right redis-server --bind 10.0.0.2 \
		--port 7000 --protected-mode no --save ''
}

@test "namespaces: sock_ops registers both ends across a veth pair" {
	make_cgroup namespaces
	configure "cgroup_path = $CGROUP"
	"$SOCKSHUNT" load
	redis_in_cgroup
	eventually in_cgroup ip netns exec left redis-cli -h 10.0.0.2 -p 7000 ping
	local before
	before=$(counter redirected_messages)
	run -0 in_cgroup ip netns exec left redis-cli -h 10.0.0.2 -p 7000 -r 50 incr x
	[[ ${lines[49]} == 50 ]]
	assert_counter redirected_messages -ge $((before + 98))
}

@test "namespaces: sock_ops registers no connection from outside the cgroup" {
	make_cgroup namespaces
	configure "cgroup_path = $CGROUP"
	"$SOCKSHUNT" load
	redis_in_cgroup
	eventually ip netns exec left redis-cli -h 10.0.0.2 -p 7000 ping
	ask_from left 10.0.0.2
	assert_counter registered -eq 0
	assert_counter unregistered_remote -ge 2
}

@test "namespaces: sock_ops keeps to accelerated_ports" {
	make_cgroup namespaces
	configure "cgroup_path = $CGROUP" "accelerated_ports = 7001"
	"$SOCKSHUNT" load
	redis_in_cgroup
	eventually in_cgroup ip netns exec left redis-cli -h 10.0.0.2 -p 7000 ping
	assert_counter registered -eq 0
	assert_counter unregistered_out_of_scope -ge 2
}

@test "namespaces: sock_ops registers with IPv6, too" {
	make_cgroup namespaces
	configure "cgroup_path = $CGROUP"
	"$SOCKSHUNT" load
	start in_cgroup ip netns exec right redis-server --bind fd00::2 \
		--port 7000 --protected-mode no --save ''
	eventually in_cgroup ip netns exec left redis-cli -h fd00::2 -p 7000 ping
	in_cgroup ip netns exec left redis-cli -h fd00::2 -p 7000 -r 50 incr x
	assert_counter redirected_messages -ge 98
}

@test "namespaces: across a bridge, by the shim and by sock_ops" {
	local ns

	make_cgroup namespaces
	configure "cgroup_path = $CGROUP"
	"$SOCKSHUNT" load
	ip netns add switch
	ip -n switch link add br0 type bridge
	ip -n switch link set br0 up
	for ns in one two; do
		ip netns add "$ns"
		ip -n "$ns" link set lo up
		ip -n "$ns" link add eth0 type veth peer name "$ns" netns switch
		ip -n switch link set "$ns" master br0 up
	done
	give_addresses one 1
	give_addresses two 2
	redis_in two 10.0.0.2 shimmed
	run -0 shimmed ip netns exec one redis-cli -h 10.0.0.2 -p 7000 -r 50 incr x
	[[ ${lines[49]} == 50 ]]
	assert_counter redirected_messages -ge 98
	start in_cgroup ip netns exec two redis-server --bind 10.0.0.2 \
		--port 7001 --protected-mode no --save ''
	eventually ip netns exec two redis-cli -h 10.0.0.2 -p 7001 ping
	run -0 in_cgroup ip netns exec one redis-cli -h 10.0.0.2 -p 7001 -r 50 incr x
	[[ ${lines[49]} == 50 ]]
	assert_counter redirected_messages -ge 196
}

@test "namespaces: one is deleted while a connection lives in it" {
	local to=$BATS_TEST_TMPDIR/to

	"$SOCKSHUNT" load
	redis_in right 10.0.0.2 shimmed
	mkfifo "$to"
	exec 7<>"$to" # opened for both, none waits for the other
	# shellcheck disable=SC2016 # for the other shell
	start shimmed ip netns exec left bash -c '
		exec 3<>/dev/tcp/10.0.0.2/7000
		while read -r line; do
			printf "%s\r\n" "$line" >&3
			read -r answer <&3 || answer=end
			echo "$answer"
		done <"$0"' "$to" 7>&-
	echo set a 1 >&7
	eventually grep -q OK "$LOG"
	ip netns del right # its name; the server keeps it
	ip netns del left
	echo incr a >&7
	eventually grep -q 2 "$LOG"
	# The first may be sent before its connection is accepted.
	assert_counter redirected_messages -ge 2
	echo shutdown nosave >&7 # and with it, its namespace and the veth pair
	eventually grep -q end "$LOG"
	exec 7>&-
	eventually has_entries 0
}

has_entries() { # NUMBER
	[[ $(entries) -eq $1 ]]
}

# Four namespaces; each connection has a twin of the same addresses and ports.
overlap() { # ADDRESS CONNECTIONS COMMAND...
	"${@:3}" timeout 120 "$BIN/overlap" "$1" $(($2 / 2)) \
		/run/netns/{left,right,left2,right2}
}

@test "namespaces: 10000 connections between pairs with equal addresses and ports" {
	add_pair left2 right2
	make_cgroup namespaces
	configure "cgroup_path = $CGROUP"
	"$SOCKSHUNT" load
	overlap 10.0.0.2 10000 in_cgroup
	# Of twins the first is accelerated; of four ends each sends 4 messages.
	assert_counter redirected_messages -eq 40000
	overlap fd00::2 10000 in_cgroup
	assert_counter redirected_messages -eq 80000
	assert_counter refused -eq 0
}

@test "namespaces: the same by the shim" {
	add_pair left2 right2
	"$SOCKSHUNT" load
	overlap 10.0.0.2 10000 shimmed
	# Of every other connection, one end and its twin's peer are registered.
	assert_counter redirected_messages -eq 20000
	assert_counter tcp_order -eq 20000 # as if bytes were missing
	overlap fd00::2 2000 shimmed
	assert_counter redirected_messages -eq 24000
	assert_counter refused -eq 0
}

@test "namespaces: the verdict that everybody copies sends bytes astray there" {
	add_pair left2 right2
	configure "bpf_program_path = $BIN/naive.bpf.o"
	SOCKSHUNT_LOG=error "$SOCKSHUNT" load
	run ! overlap 10.0.0.2 100 shimmed
	[[ $output == *"not its peer's"* ]]
}
