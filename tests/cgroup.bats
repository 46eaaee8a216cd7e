#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Programs of a cgroup without the shim, and other people's programs on it.

load helpers
load twoends # sets status, output and stderr

PROGS=$ROOT/tests/progs

refuses_splice() {
	"$SOCKSHUNT" status --json | jq -e .self_test.refuses_splice
}

# A Go program that forwards by io.Copy(), thus by splice(2), and 200 exchanges
# through it.
through_relay() {
	start "${IN_CGROUP[@]}" "$BIN/relay" 127.0.0.1:7001 127.0.0.1:7000
	eventually grep -q listening "$LOG"
	"${IN_CGROUP[@]}" timeout 60 "$BIN/through" 7000 7001 200
}

@test "cgroup: a Go program that splices keeps to TCP on ports out of scope" {
	own_cgroup cgroup 'accelerated_ports = 6379'
	"$SOCKSHUNT" load
	through_relay
	assert_counter registered -eq 0
	assert_counter unregistered_out_of_scope -eq 4
	assert_counter redirected_messages -eq 0
}

@test "cgroup: a Go program that splices reads and writes instead" {
	own_cgroup cgroup
	run --separate-stderr "$SOCKSHUNT" load
	if ! refuses_splice; then
		# As in every kernel without trampolines: it is said. Booted
		# kernels have them: tests/kernels.bats.
		says 'cannot refuse splice(2) to programs without the shim'
		says accelerated_ports
		run -0 --separate-stderr "$SOCKSHUNT" doctor
		[[ $output == *$'\nnote  splice(2)  '*accelerated_ports* ]]
		skip "optional: this kernel takes no programs on its functions"
	fi
	through_relay
	assert_counter splices_refused -ge 1
	assert_counter redirected_messages -ge 400
}

@test "cgroup: a Go program that does not splice is accelerated" {
	own_cgroup cgroup
	"$SOCKSHUNT" load
	start "${IN_CGROUP[@]}" "$BIN/relay" 127.0.0.1:7001 echo
	eventually grep -q listening "$LOG"
	"${IN_CGROUP[@]}" timeout 60 "$BIN/through" 0 7001 200
	assert_counter registered -eq 2
	assert_counter redirected_messages -ge 300
}

@test "cgroup: a Java program is accelerated" {
	local java=(java -XX:-UsePerfData -cp "$BATS_TEST_TMPDIR" Ends)

	own_cgroup cgroup
	"$SOCKSHUNT" load
	javac -J-XX:-UsePerfData -d "$BATS_TEST_TMPDIR" "$PROGS/Ends.java"
	start "${IN_CGROUP[@]}" "${java[@]}" server 7064
	wait_for_port 7064
	run -0 "${IN_CGROUP[@]}" "${java[@]}" client 7064 50 30
	[[ $output == *" bytes by streams, "*" by 50 channels" ]]
	assert_counter redirected_messages -ge 4000
}

@test "cgroup: half of a connection in it is none, and costs no entry" {
	own_cgroup cgroup
	"$SOCKSHUNT" load
	start "${IN_CGROUP[@]}" redis-server --port 7002 --save ''
	eventually redis-cli -p 7002 ping
	run -0 redis-cli -p 7002 -r 100 incr a
	[[ ${lines[99]} == 100 ]]
	assert_counter registered -eq 0
	assert_counter redirected_messages -eq 0
	[[ $(entries) -eq 0 ]]
}

# mesh WHAT: see tests/progs/mesh.c.
mesh() {
	start "$BIN/mesh" "$BIN/mesh.bpf.o" "$CGROUP" "$1"
	MESH=$SERVER MESH_LOG=$LOG
	eventually grep -q ready "$MESH_LOG"
}

end_mesh() { # ANSWER
	kill "$MESH"
	wait "$MESH"
	[[ $(tail -n 1 "$MESH_LOG") == "$1" ]] ||
		fail_with "expected $1" "$(cat "$MESH_LOG")"
}

@test "cgroup: another's sock_ops program, attached before ours, goes on" {
	own_cgroup cgroup
	mesh counts
	"$SOCKSHUNT" load
	exchange "${IN_CGROUP[@]}"
	was_redirected
	end_mesh "2 established, 0 taken"
	exchange "${IN_CGROUP[@]}"
	was_redirected
}

@test "cgroup: another's sock_ops program, attached after ours, goes on" {
	own_cgroup cgroup
	"$SOCKSHUNT" load
	mesh counts
	exchange "${IN_CGROUP[@]}"
	was_redirected
	"$SOCKSHUNT" unload
	exchange "${IN_CGROUP[@]}"
	was_plain
	end_mesh "4 established, 0 taken"
}

@test "cgroup: sockets that another sockmap has taken stay with it, on TCP" {
	own_cgroup cgroup
	mesh takes
	"$SOCKSHUNT" load
	exchange "${IN_CGROUP[@]}"
	was_plain
	assert_counter unregistered_busy -ge 2
	exchange "${IN_CGROUP[@]}" "${SHIMMED[@]}"
	was_plain
	is_quiet
	assert_counter registered -eq 0
	end_mesh "4 established, 4 taken"
	exchange "${IN_CGROUP[@]}"
	was_redirected
}

@test "cgroup: sockets that we have first, another sockmap does not get" {
	own_cgroup cgroup
	"$SOCKSHUNT" load
	mesh takes
	exchange "${IN_CGROUP[@]}"
	was_redirected
	end_mesh "2 established, 0 taken"
}

@test "cgroup: where another program wants to be alone, one line, and the shim" {
	own_cgroup cgroup
	mesh alone
	run -0 --separate-stderr "$SOCKSHUNT" load
	says "cgroup_path: cannot attach to $CGROUP: Operation not permitted"
	exchange "${IN_CGROUP[@]}"
	was_plain
	exchange "${SHIMMED[@]}"
	was_redirected
	end_mesh "2 established, 0 taken"
}
