#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Every byte, both ways, whenever sockets are registered. The same test must
# fail with the verdict program that everybody copies.

load helpers

setup() {
	own_configuration
}

teardown() {
	end_servers
	remove_cgroup
}

# As often as INTEGRITY_ROUNDS says. Seeds are printed by the program: a failure
# names the connection to replay.
stress() {
	local round

	for ((round = 0; round < ${INTEGRITY_ROUNDS:-1}; round++)); do
		timeout 300 "$BIN/integrity" "$@" || return
	done
}

@test "integrity: 1000 connections on plain TCP (the test itself is right)" {
	stress -n 1000
}

@test "integrity: 1000 connections registered at random moments" {
	"$SOCKSHUNT" load
	stress -n 1000 --register "$PINS"
	assert_counter redirected_messages -gt 10000
	assert_counter tcp_order -gt 1000
	assert_counter tcp_room -gt 0
	assert_counter tcp_messages -gt 0
}

@test "integrity: 1000 connections between two processes, at random moments" {
	"$SOCKSHUNT" load
	stress -n 1000 -p --register "$PINS"
	assert_counter redirected_messages -gt 10000
}

@test "integrity: 2000 connections registered by the shim" {
	shimmed stress -n 2000
	assert_counter redirected_messages -gt 10000
	assert_counter registered -gt 3000
}

@test "integrity: 2000 connections registered by the shim, two processes" {
	shimmed stress -n 2000 -p
	assert_counter redirected_messages -gt 10000
}

# The shim registers nothing here, but mends what only user space can: a
# blocking read that tcp_bpf_recvmsg() ends with EAGAIN.
@test "integrity: 1000 connections registered by sock_ops" {
	make_cgroup integrity
	configure "cgroup_path = $CGROUP" "register_user_space_sockets = no"
	"$SOCKSHUNT" load
	shimmed in_cgroup bash -c "$(declare -f stress); BIN=$BIN; stress -n 1000"
	assert_counter redirected_messages -gt 10000
	assert_counter registered -gt 1900
}

@test "integrity: without the merged queue, at random moments" {
	configure "bpf_program_path = $BIN/unmerged.bpf.o"
	"$SOCKSHUNT" load
	stress -n 1000 --register "$PINS"
	assert_counter redirected_messages -gt 10000
}

@test "integrity: the naive verdict fails the same test" {
	configure "bpf_program_path = $BIN/naive.bpf.o"
	"$SOCKSHUNT" load
	run stress -n 1000 --register "$PINS"
	[[ $status -eq 1 ]]
	[[ $output =~ corrupted=([0-9]+) ]]
	[[ ${BASH_REMATCH[1]} -gt 10 ]]
}
