# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# What suites share that run twoends, a program that is client and server, and
# count what is said to standard error.
# shellcheck shell=bash

# shellcheck disable=SC2034 # the suites use it
SHIMMED=(env "LD_PRELOAD=$SHIM")
MOUNTED=() # what a test has mounted

setup() {
	unset SOCKSHUNT_LOG SOCKSHUNT_LOG_FILE SOCKSHUNT_DISABLE LD_PRELOAD
	own_configuration
}

teardown() {
	end_servers
	remove_cgroup
	[[ ${#MOUNTED[@]} -eq 0 ]] || umount "${MOUNTED[@]}"
}

fail_with() {
	printf '%s\n' "$@" "exit: ${status-}" "output: ${output-}" \
		"error: ${stderr-}" >&2
	return 1
}

# succeeds COMMAND...: without a word on standard error, but for the line that
# kernels without BTF trampolines have for each cgroup_path.
succeeds() {
	run --separate-stderr "$@"
	[[ $stderr != *'cannot refuse splice(2)'* || $stderr == *$'\n'* ]] ||
		stderr=
	[[ $status -eq 0 && -z $stderr ]] || fail_with "expected success: $*"
}

# shellcheck disable=SC2154 # run sets stderr
# says WHAT: standard error was one line of ours with WHAT in it.
says() {
	[[ $stderr == sockshunt\[*\]:*"$1"* && $stderr != *$'\n'* ]] ||
		fail_with "expected one line: $1"
}

# refuses WHAT COMMAND...: exit status 1, and one line with WHAT in it.
refuses() {
	run --separate-stderr "${@:2}"
	[[ $status -eq 1 && -z $output ]] || fail_with "expected refusal: ${*:2}"
	says "$1"
}

# exchange [PREFIX...]: a program that is client and server; its bytes always
# arrive. was_redirected and was_plain say how they have come. WARM=$'warm\n': where
# the configuration does not say that connections are registered at once.
exchange() {
	run --separate-stderr "$@" "$BIN/twoends" \
		<<<"${WARM-}"$'send 5000\nread\ntcp'
	[[ $status -eq 0 &&
		$output == $'ready\n'"${WARM-}"$'sent\nread 10000\ntcp '* ]] ||
		fail_with "bytes were lost"
}

was_redirected() {
	[[ $output == *$'\ntcp 0' ]] || fail_with "expected redirection"
}

was_plain() {
	[[ $output == *$'\ntcp 10000' ]] || fail_with "expected plain TCP"
}

is_quiet() {
	[[ -z $stderr ]] || fail_with "expected no line"
}

# begin [PREFIX...]: the same, but doing what ask says, one line at a time;
# standard error goes to the file ERRORS.
begin() {
	ERRORS=$BATS_TEST_TMPDIR/errors
	coproc ENDS { exec "$@" "$BIN/twoends" 2>"$ERRORS" 3>&-; }
	SERVERS+=("$ENDS_PID")
	hear ready
}

hear() {
	local answer=

	read -r -t 10 answer <&"${ENDS[0]}" || true
	[[ $answer == "$1" ]] ||
		fail_with "expected $1, not $answer" "$(cat "$ERRORS")"
}

ask() { # LINE ANSWER
	echo "$1" >&"${ENDS[1]}"
	hear "$2"
}

# own_cgroup NAME [LINE...]: makes it, for cgroup_path and the prefix IN_CGROUP.
own_cgroup() {
	make_cgroup "$1"
	configure "cgroup_path = $CGROUP" "${@:2}"
	# shellcheck disable=SC2016 # its own shell expands it
	IN_CGROUP=(sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$CGROUP")
}

# hidden COMMAND...: where /sys/kernel/btf and the images that libbpf looks for
# instead are empty.
hidden() {
	# shellcheck disable=SC2016 # its own shell expands it
	unshare --mount sh -ec '
		mount -t tmpfs none /sys/kernel/btf
		for dir in /boot "/lib/modules/$(uname -r)" /usr/lib/debug; do
			[ ! -d "$dir" ] || mount -t tmpfs none "$dir"
		done
		exec "$@"' sh "$@"
}
