#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Connections are registered when they are worth it, as they are by default, in
# the midst of what their ends do: who waits in a read then, who was handed the
# socket, and what was set meanwhile.

load helpers

setup() {
	own_configuration 'register_after_exchanges = 2'
	"$SOCKSHUNT" load
}

teardown() {
	end_servers
	remove_cgroup
}

WORTH=$ROOT/tests/progs/worth.py

# What is loaded by setup() has no cgroup.
anew_in_cgroup() {
	"$SOCKSHUNT" unload
	make_cgroup worth
	configure 'register_after_exchanges = 2' "cgroup_path = $CGROUP"
	"$SOCKSHUNT" load
}

does() { # SCENARIO [NUMBER...]
	shimmed timeout 60 python3 "$WORTH" "$@"
}

@test "worth: the default is two exchanges" {
	printf '%s\n' '[sockshunt]' "pin_path = $PINS" >"$CONF"
	does exchanges 2
	assert_counter registered -eq 0
	does exchanges 6
	assert_counter registered -eq 2
	assert_counter redirected_messages -ge 4
}

@test "worth: connections of one exchange, and of two, stay on TCP" {
	does exchanges 1
	does exchanges 2
	assert_counter registered -eq 0
	assert_counter unregistered_busy -eq 0
}

@test "worth: exchanges that go on are redirected" {
	does exchanges 100
	assert_counter registered -eq 2
	assert_counter redirected_messages -ge 190
	[[ $(entries) -eq 0 ]]
}

@test "worth: another number of exchanges; none: at once" {
	configure 'register_after_exchanges = 10'
	does exchanges 10
	assert_counter registered -eq 0
	does exchanges 20
	assert_counter registered -eq 2
	configure 'register_after_exchanges = 0'
	does exchanges 1
	assert_counter registered -eq 4
}

@test "worth: small messages in one direction that TCP joins stay on TCP" {
	does oneway 64 20000
	does oneway 16384 500
	assert_counter registered -eq 0
}

@test "worth: small messages in one direction that TCP does not join" {
	does trickle 64 240
	assert_counter registered -eq 0
	does trickle 64 400
	assert_counter registered -eq 2
	assert_counter redirected_messages -ge 10
}

@test "worth: large messages in one direction are redirected" {
	does oneway 65536 2000
	assert_counter registered -eq 2
	assert_counter redirected_messages -ge 10
}

# Each message that the reader is not ready for makes it later.
@test "worth: the reader of a stream is found at once" {
	does large 2 0 8
	assert_counter redirected_messages -ge 10
	assert_counter tcp_no_peer -le 2
}

@test "worth: so is one that always leaves something unread" {
	does large 1 2 14
	assert_counter registered -eq 2
	assert_counter tcp_no_peer -le 5
}

# A redirect for each of them is slower than TCP, which joins them.
@test "worth: a flood of small messages goes by TCP, also after exchanges" {
	does flood 64 20000
	assert_counter registered -eq 2
	assert_counter tcp_one_way -ge 10000
	assert_counter redirected_messages -ge 150 # exchanges before and after
	"$SOCKSHUNT" unload
	"$SOCKSHUNT" load
	does flood 8192 5000
	assert_counter tcp_one_way -eq 0
}

# Without naps (preload/yield.h) the sender stays ahead: 3 in 100 were redirected.
@test "worth: a reader of many streams catches up after a pause" {
	does behind 20 1000
	"$SOCKSHUNT" status
	assert_counter redirected_messages -ge 10000
}

# It sleeps for as long as the reader needs, or 1 in 100 was redirected.
@test "worth: a sender waits for a reader that is slower" {
	does slow 4000 0.0001 0
	"$SOCKSHUNT" status
	assert_counter redirected_messages -ge 1500
}

@test "worth: not if its send(2) is to end earlier" {
	does slow 4000 0.0001 10
	"$SOCKSHUNT" status
	assert_counter redirected_messages -le 1000
}

@test "worth: a sender that does not block takes no nap" {
	local slept

	does nonblocking 1500 >"$BATS_TEST_TMPDIR/slept"
	"$SOCKSHUNT" status
	assert_counter tcp_order -ge 500
	slept=$(sed -n 's/^slept //p' "$BATS_TEST_TMPDIR/slept")
	[[ $slept -le 50 ]]
}

# The thread that sends is inside a system call nearly all the time, and looks like
# somebody else who holds the socket.
@test "worth: two threads of each end read and write without a pause" {
	local cpus

	# Not where the scheduler puts them: 6 in 20 were left on TCP so.
	cpus=$(python3 -c 'import os
cpus = sorted(os.sched_getaffinity(0))
print(cpus[0], cpus[-1], sep=",")')
	for _ in 1 2 3; do
		shimmed timeout 60 "$BIN/load" stream -b -s 65536 -t 1 \
			-p "$cpus"
		"$SOCKSHUNT" status
		[[ $(counter redirected_messages) -gt $(counter tcp_unwilling) ]]
		"$SOCKSHUNT" unload
		"$SOCKSHUNT" load
	done
}

@test "worth: a thread that waits in a read, while another writes" {
	does beside thread
	assert_counter registered -eq 2
	assert_counter redirected_messages -ge 10
}

@test "worth: a process that waits in a read, while another writes" {
	does beside child
	assert_counter registered -ge 2
	assert_counter redirected_messages -ge 10
}

@test "worth: a raw system call that waits, while another thread writes" {
	does beside raw
	assert_counter registered -ge 2
	assert_counter redirected_messages -ge 10
}

@test "worth: two threads read one socket" {
	does readers
	assert_counter registered -eq 2
	assert_counter redirected_messages -ge 10
}

@test "worth: two processes wait in a read of one connection" {
	does pool fork
	[[ $(entries) -eq 0 ]]
}

@test "worth: two threads do so, by numbers of their own" {
	does pool dup
}

@test "worth: what another process has asked for is honoured" {
	does set_before timestamp
	does set_before zerocopy
	assert_counter unregistered_options -ge 2
	assert_counter redirected_messages -eq 0
}

@test "worth: a child of fork(2) goes on with the connection" {
	does handed_over fork
	assert_counter registered -eq 2
	assert_counter redirected_messages -ge 150
}

@test "worth: a program that is started with the connection goes on" {
	does handed_over exec
	assert_counter registered -eq 2
	assert_counter redirected_messages -ge 150
}

@test "worth: a process that is sent the connection goes on" {
	does handed_over rights
	assert_counter registered -eq 2
	assert_counter redirected_messages -ge 150
}

@test "worth: a duplicate goes on" {
	does duplicate
	assert_counter registered -eq 2
	assert_counter redirected_messages -ge 8
}

@test "worth: connect(2) that is asked again goes on" {
	does polled
	assert_counter registered -eq 2
	assert_counter redirected_messages -ge 8
}

@test "worth: the next connection with this number begins anew" {
	does reused
	assert_counter registered -eq 6
}

@test "worth: what only TCP has is honoured if it was asked for before" {
	does option zerocopy
	assert_counter registered -eq 1
	assert_counter redirected_messages -eq 0
}

@test "worth: TCP encrypts where it was asked to before" {
	modprobe -q tls || true
	grep -qw tls /proc/sys/net/ipv4/tcp_available_ulp ||
		skip "optional: this kernel has no TCP_ULP of TLS"
	does option ulp
	assert_counter registered -eq 1
	assert_counter redirected_messages -eq 0
}

@test "worth: two threads wait in splice(2) of one connection" {
	shimmed timeout 60 "$BIN/spliced" 1000
	assert_counter registered -ge 1000
}

@test "worth: fork(2) beside a thread that sets an option" {
	shimmed timeout -s KILL 20 "$BIN/forks" 500
}

@test "worth: what a child asks for is honoured" {
	does child_sets
}

@test "worth: a trial that has ended is not taken up again" {
	does urgent_then_errors
	"$SOCKSHUNT" unload
	configure 'register_after_exchanges = 2' 'sockhash_max_entries = 4'
	"$SOCKSHUNT" load
	does full_then_errors 4
	assert_counter unregistered_full -gt 0
}

@test "worth: no descriptor number is taken that the program may want" {
	does low_numbers 300
	assert_counter registered -eq 600
}

@test "worth: options that are set in the midst of a stream lose nothing" {
	does option_in_a_stream 18 20 # SO_RCVLOWAT
	does option_in_a_stream 29 20 # SO_TIMESTAMP
	assert_counter registered -eq 80
}

@test "worth: errno is kept where nothing can be registered" {
	"$SOCKSHUNT" unload
	SOCKSHUNT_LOG=off timeout 60 setpriv --bounding-set=-all \
		--inh-caps=-all python3 "$WORTH" errors_kept "$SHIM"
}

@test "worth: a connection that was registered before is reset in a flood" {
	does reset_inherited "$SHIM"
	assert_counter registered -eq 2
}

@test "worth: in a cgroup the kernel leaves it to the shim" {
	anew_in_cgroup
	in_cgroup env LD_PRELOAD="$SHIM" python3 "$WORTH" exchanges 2
	in_cgroup env LD_PRELOAD="$SHIM" python3 "$WORTH" oneway 64 20000
	assert_counter registered -eq 0
	in_cgroup env LD_PRELOAD="$SHIM" python3 "$WORTH" exchanges 20
	assert_counter registered -eq 2
	assert_counter redirected_messages -ge 30
	# Not what has no shim, nor what it was handed.
	in_cgroup python3 "$WORTH" exchanges 1
	assert_counter registered -eq 4
	in_cgroup python3 "$WORTH" handed_listener "$SHIM"
	assert_counter registered -eq 6
	assert_counter redirected_messages -ge 125
}

@test "worth: in a cgroup, one end with the shim" {
	anew_in_cgroup
	start in_cgroup env LD_PRELOAD="$SHIM" redis-server --port 7000 --save ''
	wait_for_port 7000
	in_cgroup redis-cli -p 7000 -r 50 incr x
	assert_counter redirected_messages -ge 90
	start in_cgroup redis-server --port 7001 --save ''
	wait_for_port 7001
	in_cgroup env LD_PRELOAD="$SHIM" redis-cli -p 7001 -r 50 incr x
	assert_counter redirected_messages -ge 180
}

@test "worth: addresses elsewhere, of UDP first of all, and where nothing is loaded" {
	does elsewhere
	SOCKSHUNT_DISABLE=1 does elsewhere
	"$SOCKSHUNT" unload
	# Nobody who could load it.
	LD_PRELOAD=$SHIM SOCKSHUNT_LOG=off timeout 60 setpriv \
		--bounding-set=-all --inh-caps=-all python3 "$WORTH" elsewhere
}

@test "worth: programs see nothing of it: 43 of them, by default" {
	local name

	for name in $("$BIN/scenarios" --list); do
		[[ $name != inherited_socket_reader ]] || continue # a part
		shimmed timeout 60 "$BIN/scenarios" "$name" ||
			return 1
	done
}

@test "worth: 2000 connections, every byte, in one process and in two" {
	shimmed timeout 300 "$BIN/integrity" -n 2000
	shimmed timeout 300 "$BIN/integrity" -n 2000 -p
	assert_counter registered -gt 1000
	assert_counter redirected_messages -gt 10000
}
