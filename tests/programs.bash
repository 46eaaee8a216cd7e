# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# What the programs-*.bats suites share: real programs, straight from the
# distribution, both ends accelerated, and judged by the content that arrives.
# shellcheck shell=bash

# shellcheck disable=SC2034 # for the suites
PROGS=$ROOT/tests/progs

# For setup(): a configuration of the test's own, and a directory for its
# files, not below bats' own, which servers without privilege may not enter.
enter_directory() {
	own_configuration
	DIRECTORY=$SANDBOX/p$BATS_SUITE_TEST_NUMBER
	mkdir "$DIRECTORY"
	cd "$DIRECTORY" || return
}

# For teardown().
leave_directory() {
	end_servers
	cd /
	rm -rf "$DIRECTORY"
}

# background OUTPUT COMMAND...: a client that runs until the test ends.
# shellcheck disable=SC2030,SC2031 # bats runs each test in a subshell
background() {
	local output=$1

	shift
	LD_PRELOAD=$SHIM "$@" >"$output" 3>&- &
	SERVERS+=($!)
}

# client COMMAND...: an accelerated program that is to end by itself, in LIMIT
# seconds (30).
client() {
	shimmed timeout -k 1 "${LIMIT-30}" "$@"
}

hash_of() {
	sha256sum | cut -d' ' -f1
}

# random_bytes N
random_bytes() {
	head -c "$1" /dev/urandom
}

# assert_redirected N: more than N messages took the short way, none was lost.
assert_redirected() {
	assert_counter redirected_messages -gt "$1"
	assert_counter refused -eq 0
}
