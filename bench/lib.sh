# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# What the scripts here and tools/demo.sh share; to be sourced.
# shellcheck shell=bash

# For the scripts that source this.
# shellcheck disable=SC2034
{
	ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
	SHIM=$ROOT/preload/libsockshunt.so
	SOCKSHUNT=$ROOT/tools/sockshunt
}

# The plain side must be plain, and numbers the same in every language.
unset LD_PRELOAD SOCKSHUNT_CONF SOCKSHUNT_DISABLE
export LC_ALL=C

STARTED=()   # the processes that stop_all ends
REDIRECTED=0 # messages, when expect_redirected last looked
MIDLINE=     # not empty: progress() has left standard error in one

# progress TEXT: for a person who waits; may end in the middle of a line.
progress() {
	printf '%s' "$1" >&2
	MIDLINE=yes
}

end_progress() {
	[[ -z $MIDLINE ]] || echo >&2
	MIDLINE=
}

die() {
	end_progress
	echo "$(basename "$0"): $*" >&2
	exit 1
}

need() { # PROGRAM-OR-FILE-OF-OURS...
	local what

	for what in "$@"; do
		if [[ $what == "$ROOT"/* ]]; then
			what=${what#"$ROOT"/}
			[[ -e $ROOT/$what ]] || die "$what is not built (make $what)"
		else
			command -v "$what" >/dev/null ||
				die "$what is not installed (make setup)"
		fi
	done
}

# The median of the numbers on standard input.
median() {
	sort -g | awk '
		{ value[NR] = $1 }
		END {
			if (!NR) exit 1
			low = int((NR + 1) / 2); high = int(NR / 2) + 1
			printf "%.3f\n", (value[low] + value[high]) / 2
		}'
}

quotient() { # A B
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'
}

# start LOG COMMAND...: in the background, until stop_all; $! is its pid.
start() {
	local log=$1

	shift
	"$@" >"$log" 2>&1 </dev/null &
	STARTED+=("$!")
}

# run LOG COMMAND...: to its end; its status. Not in the foreground, where bash
# would not hear a signal before COMMAND has ended.
run() {
	local status=0

	start "$@"
	wait "$!" || status=$?
	unset 'STARTED[-1]'
	return "$status"
}

stop_all() {
	local pid

	for pid in "${STARTED[@]}"; do
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	STARTED=()
}

# at_exit COMMAND: by a signal, too; another one does not interrupt COMMAND.
at_exit() {
	# shellcheck disable=SC2064 # now is when $1 is known
	trap "trap '' INT TERM; $1" EXIT
	trap "trap '' INT TERM; exit 130" INT
	trap "trap '' INT TERM; exit 143" TERM
}

# eventually COMMAND...: retries for up to 10 seconds.
eventually() {
	local tries

	for ((tries = 0; tries < 200; tries++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.05
	done
	return 1
}

plain() {
	exec "$@"
}

accelerated() {
	exec "$SOCKSHUNT" run -- "$@"
}

listens_on() { # PORT [COMMAND to enter a namespace]
	[[ -n $("${@:2}" ss -Hltn "sport = :$1") ]]
}

# load_bpf [LINE...]: with these lines in a configuration of the sandbox's own.
# shellcheck disable=SC2120 # the arguments are optional
load_bpf() {
	local said

	export SOCKSHUNT_CONF=$SANDBOX/sockshunt.ini
	printf '%s\n' '[sockshunt]' "pin_path = $SANDBOX/bpf/sockshunt" "$@" \
		>"$SOCKSHUNT_CONF"
	said=$("$SOCKSHUNT" load 2>&1) || die "cannot load BPF: $said"
	[[ -z $said ]] || echo "$said" >&2
}

# expect_redirected yes|no WHAT: since the last call, or since load_bpf.
expect_redirected() {
	local before=$REDIRECTED happened=no

	REDIRECTED=$("$SOCKSHUNT" status --json |
		jq -e .counters.redirected_messages) || die "cannot read counters"
	[[ $REDIRECTED -eq $before ]] || happened=yes
	[[ $happened == "$1" ]] && return
	[[ $1 == no ]] || die "$2: nothing was redirected"
	die "$2: $((REDIRECTED - before)) messages were redirected"
}

# Sockperf's exit status says nothing, even when it cannot connect.
check_sockperf() { # LOG
	grep -aq 'Summary: Latency is' "$1" &&
		grep -aq 'dropped messages = 0; # dup.* = 0; # out.* = 0' "$1" &&
		return
	end_progress
	tail -n 20 "$1" >&2
	die "sockperf failed"
}

# sockperf_usecs average|50|90|99|99.9 LOG: one-way, as sockperf prints it.
sockperf_usecs() {
	awk -v what="$1" '
		/Summary: Latency is/ && what == "average" { print $5; exit }
		$3 == "percentile" && $4 + 0 == what + 0 { print $6; exit }
	' "$2"
}

# sockperf_median average|50|... LOG...
sockperf_median() {
	local log

	for log in "${@:2}"; do
		sockperf_usecs "$1" "$log"
	done | median
}
