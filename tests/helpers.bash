# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# What every suite shares. Suites run through tests/run, in its sandbox.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BIN=${BIN:-$ROOT/tests/bin}
SHIM=$ROOT/preload/libsockshunt.so
SOCKSHUNT=$ROOT/tools/sockshunt

bats_require_minimum_version 1.5.0

# own_configuration [LINE...]: setup() of a suite whose tests load BPF: a
# configuration (with these lines) and a pin path of
# the test's own. CONF is its INI file, PINS its pin path.
own_configuration() {
	if [[ -z ${SANDBOX-} ]]; then
		echo "run the suites through tests/run" >&2
		return 1
	fi
	PINS=$SANDBOX/bpf/t$BATS_SUITE_TEST_NUMBER
	CONF=$SANDBOX/t$BATS_SUITE_TEST_NUMBER.ini # readable by any user
	SERVERS=()
	export SOCKSHUNT_CONF=$CONF
	configure "$@"
}

# configure [LINE...]: writes CONF with the pin path and these lines. Connections
# are registered at once, however few messages a test takes, if none says else.
# shellcheck disable=SC2120 # the arguments are optional
configure() {
	[[ $* == *register_after_exchanges* ]] ||
		set -- "$@" 'register_after_exchanges = 0'
	printf '%s\n' '[sockshunt]' "pin_path = $PINS" "$@" >"$CONF"
}

# teardown() of such a suite. Politely first: nginx takes its workers along.
end_servers() {
	local pid tries

	for pid in "${SERVERS[@]}"; do
		kill "$pid" 2>/dev/null || continue
		for ((tries = 0; tries < 40; tries++)); do
			ended "$pid" && break
			sleep 0.05
		done
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	SERVERS=()
	"$SOCKSHUNT" unload --force 2>/dev/null || true
}

# start [shimmed] COMMAND...: runs a server until the test ends; its pid is in
# SERVER, its output in LOG.
start() {
	local preload=${LD_PRELOAD-}

	if [[ $1 == shimmed ]]; then # here, so that the pid is COMMAND's
		preload=$SHIM
		shift
	fi
	LOG=$BATS_TEST_TMPDIR/server${#SERVERS[@]}.log
	LD_PRELOAD=$preload "$@" >"$LOG" 2>&1 3>&- &
	SERVER=$!
	SERVERS+=("$SERVER")
}

# eventually COMMAND...: retries for up to 10 seconds.
eventually() {
	local tries

	for ((tries = 0; tries < 200; tries++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.05
	done
	echo "did not come true in 10 s: $*" >&2
	return 1
}

# ended PID: gone, or only waiting for us to notice.
ended() {
	[[ ! -e /proc/$1 ]] || grep -q '^State:.*Z' "/proc/$1/status"
}

listens_on() {
	[[ -n $(ss -Hltn "sport = :$1") ]]
}

wait_for_port() {
	eventually listens_on "$1"
}

shimmed() {
	LD_PRELOAD=$SHIM "$@"
}

# counter NAME: its value now.
counter() {
	"$SOCKSHUNT" status --json | jq ".counters.$1"
}

# entries: sockets in the sockhash now.
entries() {
	"$SOCKSHUNT" status --json | jq .entries
}

assert_counter() { # NAME OPERATOR VALUE
	local value

	value=$(counter "$1")
	[[ -n $value ]] && test "$value" "$2" "$3" && return 0
	echo "counter $1 is ${value:-missing}, not $2 $3" >&2
	"$SOCKSHUNT" status >&2
	return 1
}

# A cgroup v2 directory of the test's own, wherever that hierarchy is mounted.
make_cgroup() { # NAME; path in CGROUP
	local mount

	mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
	[[ -n $mount ]] || skip "no cgroup v2 hierarchy is mounted"
	CGROUP=$(mktemp -d "$mount/sockshunt-$1-XXXXXX")
}

# in_cgroup COMMAND...: runs it in CGROUP, from its first socket on.
in_cgroup() {
	bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$CGROUP" "$@"
}

# Once is not enough: what ends while the list is read makes others be skipped.
empty_cgroup() {
	local pid

	while read -r pid; do
		# 0: a process outside our process namespace, not ours.
		[[ $pid -eq 0 ]] || kill -9 "$pid" 2>/dev/null || true
	done <"$CGROUP/cgroup.procs"
	rmdir "$CGROUP"
}

remove_cgroup() {
	[[ -n ${CGROUP-} ]] || return 0
	eventually empty_cgroup || return
	CGROUP=
}

# make_here TARGET...: not as a part of the make that runs the tests.
make_here() {
	env -u MAKEFLAGS -u MAKELEVEL -u MAKEOVERRIDES \
		make -s -C "$ROOT" "$@" 3>&-
}

# publish: puts what the tests run where any user can read it.
publish() {
	local public=$BATS_TEST_TMPDIR/public

	chmod 755 "$BATS_RUN_TMPDIR"
	mkdir -p "$public/preload" "$public/tools"
	cp "$SHIM" "${SHIM%/*}/sockshunt-loader" "$public/preload/"
	cp "$SOCKSHUNT" "$public/tools/"
	cp "$BIN/twoends" "$public/"
	SHIM=$public/preload/libsockshunt.so
	SOCKSHUNT=$public/tools/sockshunt
	BIN=$public
	# shellcheck disable=SC2034 # for the suites
	SHIMMED=(env "LD_PRELOAD=$SHIM")
}
