#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# redis, both ends accelerated.

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
