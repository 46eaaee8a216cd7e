#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# A registered socket that sends small messages and gets no answer is taken out of the
# sockhash again, in the midst of its connection: no byte may be lost by that, of
# those that its peer sends meanwhile least of all.

load helpers

setup() {
	own_configuration 'register_after_exchanges = 2'
	"$SOCKSHUNT" load
}

LEAVE=$ROOT/tests/progs/leave.py

does() { # SCENARIO [NUMBER...]
	shimmed timeout 60 python3 "$LEAVE" "$@"
}

@test "leave: a flood of small messages after exchanges" {
	does again 40000 1
	assert_counter left -eq 1
	assert_counter tcp_one_way -le 20000
	assert_counter refused -eq 0
	[[ $(entries) -eq 0 ]]
}

@test "leave: exchanges after it are redirected, and it may leave again" {
	does again 40000 1
	assert_counter registered -eq 3 # the client twice
	assert_counter redirected_messages -ge 350
	"$SOCKSHUNT" unload
	"$SOCKSHUNT" load
	does again 40000 2
	assert_counter left -ge 1
	assert_counter redirected_messages -ge 350
}

@test "leave: not while something is unread" {
	does unread 40000 1000
	does unread 40000 30000
	assert_counter left -eq 0
}

@test "leave: a socket that was registered after some reads in vain" {
	does in_parts 40000 4
	assert_counter left -eq 1
}

@test "leave: not while another process has the socket" {
	does held 40000
	assert_counter left -eq 0
}

@test "leave: not a process with threads" {
	does threads 40000
	assert_counter left -eq 0
}

@test "leave: larger messages are no reason, nor is what was registered at once" {
	shimmed "$BIN/load" stream -s 16384 -g4 -t 0.5
	assert_counter left -eq 0
	configure 'register_after_exchanges = 0'
	does again 40000 1
	assert_counter left -eq 0
}

@test "leave: a sender that waits for room, by edges" {
	does edges 60000
	assert_counter left -ge 1
	assert_counter refused -eq 0
}

@test "leave: the peer ends its stream at that moment" {
	does end 40 40000
	assert_counter left -ge 5
	assert_counter refused -eq 0
}

@test "leave: the peer says something at that moment" {
	does stir 60 40000
	"$SOCKSHUNT" status
	assert_counter left -ge 10
	assert_counter refused -eq 0
}
