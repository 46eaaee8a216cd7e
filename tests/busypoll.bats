#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# busy_poll_usecs: spinning is seen by nobody, and costs nothing where it does
# not pay. What it gains is measured by `make bench`.

load helpers

setup() {
	own_configuration 'busy_poll_usecs = 1000'
}

teardown() {
	end_servers
}

spins() { # WHAT
	timeout 60 "$BIN/spins" "$1"
	shimmed timeout 60 "$BIN/spins" "$1"
	assert_counter redirected_messages -ge 1
}

@test "busy polling: a signal ends each kind of wait while it spins" {
	spins interrupt
	assert_counter spins -ge 100
}

@test "busy polling: a handler with SA_RESTART restarts reads" {
	spins restart
	assert_counter spins -ge 1
}

@test "busy polling: timeouts" {
	spins timeouts
	assert_counter spins -ge 1
}

@test "busy polling: an idle reader burns nothing" {
	local usecs

	usecs=$(shimmed "$BIN/spins" idle)
	echo "a second's wait: $usecs usecs of CPU time"
	[[ $usecs -lt 1000 ]]
	assert_counter spins_vain -ge 1
}

@test "busy polling: rare messages are not spun for" {
	shimmed "$BIN/spins" rare
	assert_counter spins_vain -ge 1
	assert_counter spins -le 5
}

@test "busy polling: on one CPU it is given up" {
	shimmed "$BIN/spins" same_cpu
	assert_counter spins_vain -ge 1
	assert_counter spins_vain -le 100 # of 40000 waits
}

@test "busy polling: 0 is none" {
	configure 'busy_poll_usecs = 0'
	spins timeouts
	assert_counter spins -eq 0
}
