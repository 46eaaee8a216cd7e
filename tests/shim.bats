#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# The shim under programs that behave as real ones do: each scenario runs on
# plain TCP and with the shim, and must end the same way.

load helpers

setup() {
	own_configuration
}

teardown() {
	end_servers
}

# same_as_on_tcp SCENARIO [REDIRECTED]: and at least so many messages took the
# short way (default 1: it must not pass because nothing was accelerated).
same_as_on_tcp() {
	timeout 60 "$BIN/scenarios" "$1"
	shimmed timeout 60 "$BIN/scenarios" "$1"
	assert_counter redirected_messages -ge "${2:-1}"
	assert_counter refused -eq 0
}

@test "shim: both ends in one process, IPv4" {
	same_as_on_tcp one_process 100
	assert_counter registered -eq 2
	[[ $(entries) -eq 0 ]]
}

@test "shim: both ends in one process, IPv6" {
	same_as_on_tcp ipv6 100
}

@test "shim: an IPv4 client meets a dual-stack listener" {
	same_as_on_tcp dual_stack 100
}

@test "shim: accept4 keeps flags and address" {
	same_as_on_tcp accept4_flags 100
}

@test "shim: a non-blocking connect is registered" {
	same_as_on_tcp nonblocking_connect 100
	assert_counter registered -eq 2
}

@test "shim: a non-blocking connect that is refused" {
	"$SOCKSHUNT" load
	same_as_on_tcp nonblocking_refused 0
	assert_counter registered -eq 0
}

@test "shim: two processes" {
	same_as_on_tcp two_processes 1990 # the first may precede accept
}

@test "shim: the parent accepts and closes, the child serves" {
	same_as_on_tcp fork_serves
}

@test "shim: a duplicate lives on with unread bytes when the first is closed" {
	same_as_on_tcp dup_survives
}

@test "shim: a descriptor passed to another process with unread bytes" {
	same_as_on_tcp passed_descriptor
}

@test "shim: eight threads connect and accept at once" {
	same_as_on_tcp threads
}

@test "shim: forks at every moment of other threads' connects" {
	same_as_on_tcp fork_beside_threads
}

@test "shim: first used in a child, then in its parent" {
	same_as_on_tcp first_use_in_child
}

@test "shim: loading leaves the program no child to wait for" {
	same_as_on_tcp no_child_appears
}

@test "shim: loading sends the program no SIGCHLD" {
	same_as_on_tcp no_sigchld
}

@test "shim: a program that ignores SIGCHLD can load" {
	same_as_on_tcp sigchld_ignored
}

@test "shim: survives closefrom" {
	same_as_on_tcp closefrom_as_daemons_do
}

@test "shim: survives close_range" {
	same_as_on_tcp close_range_all
}

@test "shim: survives a loop of close" {
	same_as_on_tcp close_loop
}

@test "shim: gives way to dup2 and dup3 onto its descriptor" {
	same_as_on_tcp dup2_everywhere 300
}

@test "shim: recovers from a raw close_range" {
	same_as_on_tcp raw_close_range
}

@test "shim: closes its number when raw system calls made it the program's" {
	same_as_on_tcp own_number_becomes_the_programs
}

@test "shim: keeps its configuration when the environment is cleared" {
	same_as_on_tcp environment_cleared 100
}

@test "shim: what a vfork child closes stays open in the parent" {
	same_as_on_tcp vfork_child_closes 200
}

@test "shim: a blocking read goes on waiting when our FIN is acknowledged" {
	same_as_on_tcp half_close_while_reading
}

@test "shim: a blocking read goes on after a signal whose handler restarts" {
	same_as_on_tcp signal_restarts
}

@test "shim: a blocking read ends with EINTR after one that does not" {
	same_as_on_tcp signal_interrupts
}

@test "shim: a handler may jump out of a read that goes on" {
	same_as_on_tcp jump_out_of_a_read
}

@test "shim: reads go on when every descriptor number is taken" {
	same_as_on_tcp numbers_are_scarce
}

@test "shim: descriptors that are not TCP are read as ever" {
	same_as_on_tcp other_descriptors
}

@test "shim: a program that inherits an accelerated socket" {
	same_as_on_tcp inherited_socket
}

@test "shim: a blocking read is not interrupted without a signal" {
	same_as_on_tcp woken_but_not_interrupted
}

@test "shim: signal handlers are the program's own" {
	same_as_on_tcp handlers_are_the_programs
}

@test "shim: first used in a signal handler on a small stack" {
	same_as_on_tcp first_use_on_signal_stack
}

@test "shim: first used by a thread that is being cancelled" {
	same_as_on_tcp cancelled_at_first_use
}

@test "shim: a reader never gets the bytes of its number's next socket" {
	same_as_on_tcp number_reused_while_reading
}

@test "shim: a reader that goes on waiting can be cancelled" {
	same_as_on_tcp cancelled_while_reading
}

@test "shim: MSG_DONTWAIT and O_NONBLOCK do not wait" {
	same_as_on_tcp dontwait_does_not_wait
}

@test "shim: a stalled reader stops the writer, and no byte is lost" {
	same_as_on_tcp stalled_reader
}

@test "shim: a socket that is connected again reads only the new bytes" {
	same_as_on_tcp reconnect
}

@test "shim: errno and error returns are the original's" {
	same_as_on_tcp errno_is_kept
}

@test "shim: UNIX and UDP sockets are left alone" {
	"$SOCKSHUNT" load
	same_as_on_tcp other_sockets 0
	assert_counter registered -eq 0
	assert_counter unregistered_other -eq 0
}

@test "shim: an edge-triggered reader that stops at EAGAIN misses nothing" {
	same_as_on_tcp edge_triggered
}

@test "shim: without bpffs a process and its children share a private map" {
	local log=$BATS_TEST_TMPDIR/log

	# shellcheck disable=SC2034 # configure uses it
	PINS=$BATS_TEST_TMPDIR/not-bpffs
	configure "log_level = debug"
	# A shell that connects nowhere executes two programs that do: each has
	# its own map. A program's own children share one.
	shimmed timeout 60 "$BIN/scenarios" two_processes fork_serves \
		closefrom_as_daemons_do 2>"$log"
	[[ $(grep -c ': warn: ' "$log") -eq 1 ]]
	grep -q "is not on a BPF file system.*only connections inside this" "$log"
	[[ $(grep -c 'debug: on: ' "$log") -eq 1 ]]
}

@test "shim: a full sockhash leaves connections on TCP, counted and told once" {
	configure "sockhash_max_entries = 2"
	shimmed timeout 60 "$BIN/scenarios" threads 2>"$BATS_TEST_TMPDIR/log"
	assert_counter unregistered_full -gt 0
	[[ $(grep -c 'the sockhash is full' "$BATS_TEST_TMPDIR/log") -eq 1 ]]
}

@test "shim: accelerated_ports decides which connections are registered" {
	configure "accelerated_ports = 1"
	shimmed timeout 60 "$BIN/scenarios" one_process
	assert_counter registered -eq 0
	assert_counter unregistered_out_of_scope -eq 2
	"$SOCKSHUNT" unload
	configure "accelerated_ports = 1, 1024-65535"
	shimmed timeout 60 "$BIN/scenarios" one_process
	assert_counter registered -eq 2
}

@test "shim: register_user_space_sockets = no registers nothing" {
	configure "register_user_space_sockets = no"
	shimmed timeout 60 "$BIN/scenarios" one_process
	assert_counter registered -eq 0
	assert_counter redirected_messages -eq 0
}

no_entries() {
	[[ $(entries) -eq 0 ]]
}

many_entries() {
	[[ $(entries) -gt 10 ]]
}

@test "shim: a program keeps its connections when the other end is killed" {
	start shimmed redis-server --port 7000 --save '' --appendonly no
	# shellcheck disable=SC2153 # set by start
	local server=$SERVER
	wait_for_port 7000
	start shimmed redis-benchmark -p 7000 -q -l -t get -c 10
	eventually assert_counter redirected_messages -gt 1000
	kill -9 "$SERVER"
	run -0 shimmed redis-cli -p 7000 set after death
	run -0 shimmed redis-cli -p 7000 get after
	[[ $output == death ]]
	start shimmed redis-benchmark -p 7000 -q -l -t get -c 10
	eventually many_entries
	kill -9 "$server"
	# The client sees an ordinary connection error, and ends by itself.
	eventually ended "$SERVER"
	eventually no_entries
}

# A sender that never lets its reader run fills all buffers, and what goes by TCP
# once goes by TCP until all is read: 2 in 100 were redirected without yield.h.
@test "shim: a stream on one CPU is redirected" {
	local cpu redirected

	cpu=$(awk '/^Cpus_allowed_list:/ { print $2 + 0 }' /proc/self/status)
	shimmed timeout 60 "$BIN/load" stream -s 65536 -t 1 -p "$cpu,$cpu"
	redirected=$(counter redirected_messages)
	"$SOCKSHUNT" status
	[[ $redirected -ge 1000 && $redirected -gt \
		$(($(counter tcp_order) + $(counter tcp_room))) ]]
}
