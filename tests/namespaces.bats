#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Two network namespaces and a veth pair: which connections are on this host,
# and which only look so.

load helpers

setup() {
	own_configuration
	ip netns add left
	ip netns add right
	ip -n left link add eth0 type veth peer name eth0 netns right
	ip -n left addr add 10.0.0.1/24 dev eth0
	ip -n right addr add 10.0.0.2/24 dev eth0
	ip -n left addr add fd00::1/64 dev eth0 nodad
	ip -n right addr add fd00::2/64 dev eth0 nodad
	for ns in left right; do
		ip -n "$ns" link set lo up
		ip -n "$ns" link set eth0 up
	done
}

teardown() {
	end_servers
	ip netns del left
	ip netns del right
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
