#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Messages that nobody reads cost kernel memory, which must stay bounded as it
# does on TCP.

load helpers

setup() {
	own_configuration
}

teardown() {
	end_servers
}

# measure COMMAND...: what it said, in ACCEPTED and KILOBYTES.
measure() {
	local line

	line=$("$@")
	echo "$*: $line"
	[[ $line =~ ^accepted=([0-9]+)\ kilobytes=(-?[0-9]+)$ ]]
	ACCEPTED=${BASH_REMATCH[1]}
	KILOBYTES=${BASH_REMATCH[2]}
}

costs_as_much_as_on_tcp() { # MESSAGES
	local accepted kilobytes

	measure timeout 60 "$BIN/unread" "$1"
	accepted=$ACCEPTED kilobytes=$KILOBYTES
	measure shimmed timeout 60 "$BIN/unread" "$1"
	[[ $KILOBYTES -le $((kilobytes + 4096)) &&
		$((ACCEPTED * 2)) -ge $accepted &&
		$ACCEPTED -le $((accepted * 2)) ]]
}

@test "memory: a million unread bytes cost no more than on TCP, and are taken" {
	# Others use memory at the same time.
	costs_as_much_as_on_tcp 1000000 || costs_as_much_as_on_tcp 1000000 ||
		costs_as_much_as_on_tcp 1000000
	assert_counter redirected_messages -gt 0
}
