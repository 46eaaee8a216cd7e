#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# The command line, "sockshunt run", what the shim exports and says, and what
# it leaves alone. twoends tells redirected bytes from TCP's by itself.

load helpers

COMMANDS=(run load unload status)
SHIMMED=(env "LD_PRELOAD=$SHIM")

setup() {
	unset SOCKSHUNT_LOG SOCKSHUNT_LOG_FILE SOCKSHUNT_DISABLE LD_PRELOAD
	own_configuration
}

teardown() {
	end_servers
}

fail_with() {
	printf '%s\n' "$@" "exit: ${status-}" "output: ${output-}" \
		"error: ${stderr-}" >&2
	return 1
}

# tries COMMAND...: for $status, $output and $stderr.
tries() {
	run --separate-stderr "$@"
}

# prints TEXT COMMAND...: it succeeds, and that is all it prints.
prints() {
	tries "${@:2}"
	[[ $status -eq 0 && $output == "$1" && -z $stderr ]] ||
		fail_with "expected $1 from ${*:2}"
}

# says WHAT: standard error was one line of ours with WHAT in it.
says() {
	[[ $stderr == sockshunt\[*\]:*"$1"* && $stderr != *$'\n'* ]] ||
		fail_with "expected one line: $1"
}

# refuses WHAT COMMAND...: exit status 1, and one line with WHAT in it.
refuses() {
	tries "${@:2}"
	[[ $status -eq 1 && -z $output ]] || fail_with "expected refusal: ${*:2}"
	says "$1"
}

# is_usage_error ARGUMENT...: exit status 2, all output on standard error.
is_usage_error() {
	tries "$SOCKSHUNT" "$@"
	[[ $status -eq 2 && -z $output && -n $stderr ]] ||
		fail_with "expected a usage error: $*"
}

# exchange [PREFIX...]: a program that is client and server; its bytes always
# arrive. was_redirected and was_plain say how they have come.
exchange() {
	tries "$@" "$BIN/twoends" <<<$'send 5000\nread\ntcp\ndial'
	[[ $status -eq 0 && $output == $'ready\nsent\nread 10000\ntcp '* ]] ||
		fail_with "bytes were lost"
}

was_redirected() {
	[[ $output == *$'\ntcp 0\n'* ]] || fail_with "expected redirection"
}

was_plain() {
	[[ $output == *$'\ntcp 10000\n'* ]] || fail_with "expected plain TCP"
}

is_quiet() {
	[[ -z $stderr ]] || fail_with "expected no line"
}

break_configuration() {
	configure 'log_level = loud'
}

NOBODY=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all
	--bounding-set=-all)

# calls NAME COMMAND...: how many system calls of this kind it makes.
calls() {
	local log=$BATS_TEST_TMPDIR/calls

	"$BIN/kill_at" 0 "$log" "${@:2}" >/dev/null
	grep -cx "$1" "$log" || true
}

#
# Commands, options, arguments
#

@test "cli: -h and --help explain every command and variable" {
	local name

	for option in -h --help; do
		tries "$SOCKSHUNT" "$option"
		[[ $status -eq 0 && -z $stderr ]]
		for name in "${COMMANDS[@]}" doctor enable disable; do
			[[ $output == *"sockshunt $name "* ]]
		done
		for name in CONF LOG LOG_FILE DISABLE; do
			[[ $output == *"SOCKSHUNT_$name"[,=.\ ]* ]]
		done
	done
}

@test "cli: --version prints the Makefile's version and the ABI" {
	local version abi

	version=$(sed -n 's/^VERSION *:= *//p' "$ROOT/Makefile")
	abi=$(awk '$2 == "SS_ABI" { print $3 }' "$ROOT/bpf/abi.h")
	prints "sockshunt $version (ABI $abi)" "$SOCKSHUNT" --version
}

@test "cli: no command, or an unknown one, is a usage error" {
	is_usage_error
	[[ $stderr == "usage: sockshunt COMMAND"* ]]
	is_usage_error laod
	[[ $stderr == *"no command 'laod'"*"--help"* ]]
	is_usage_error --verbose
	is_usage_error ''
}

@test "cli: wrong options and arguments are usage errors" {
	local arguments

	while read -ra arguments; do
		is_usage_error "${arguments[@]}"
		[[ ${stderr##*$'\n'} == "usage: sockshunt ${arguments[0]} "* ]] ||
			fail_with "expected the usage of ${arguments[0]}"
	done <<-'END'
		run
		run --
		run -x true
		run --force true
		run -c
		load -x
		load --force
		load now
		load -c
		unload -x
		unload now
		unload --json
		unload -c
		doctor -x
		doctor now
		doctor --force
		doctor -c
		enable
		enable -x
		enable --root
		enable redis-server nginx
		disable
		disable --force redis-server
		doctor-echo
		doctor-echo here
		status -x
		status --xml
		status --force
		status now
		status -c
	END
	[ ! -e "$PINS" ]
}

@test "cli: each command refuses a configuration that is missing or broken" {
	local name ran=$BATS_TEST_TMPDIR/ran

	break_configuration
	for name in "${COMMANDS[@]}"; do
		set -- "$name"
		[[ $name != run ]] || set -- run touch "$ran"
		refuses "error: $CONF:3: log_level: " "$SOCKSHUNT" "$@"
		set -- "$name" -c "$CONF" "${@:2}"
		SOCKSHUNT_CONF=/dev/null refuses "error: $CONF:3: log_level: " \
			"$SOCKSHUNT" "$@"
		set -- "$name" --conf=/nonexistent.ini "${@:4}"
		refuses "error: /nonexistent.ini: " "$SOCKSHUNT" "$@"
		says "No such file"
	done
	[[ ! -e $ran && ! -e $PINS ]]
}

@test "cli: -c FILE comes before SOCKSHUNT_CONF" {
	local file=$BATS_TEST_TMPDIR/other.ini

	cp "$CONF" "$file"
	break_configuration
	prints "" "$SOCKSHUNT" load -c "$file"
	[ -e "$PINS/control" ]
	tries "$SOCKSHUNT" status -c "$file"
	[[ $status -eq 0 && -z $stderr ]]
	prints "" "$SOCKSHUNT" unload -c "$file"
	[ ! -e "$PINS" ]
}

#
# sockshunt run
#

@test "run: accelerates the program" {
	exchange "$SOCKSHUNT" run
	was_redirected
	is_quiet
	exchange "$SOCKSHUNT" run -c "$CONF" --
	was_redirected
	is_quiet
}

@test "run: accelerates what the program starts, too" {
	# shellcheck disable=SC2016 # its own shell expands it
	exchange "$SOCKSHUNT" run sh -c 'true; "$0"; exit $?'
	was_redirected
	is_quiet
}

@test "run: needs no privilege of its own" {
	publish
	prints 65534 "${NOBODY[@]}" "$SOCKSHUNT" run id -u
	exchange "${NOBODY[@]}" "$SOCKSHUNT" run
	was_plain
}

@test "run: the program gets its arguments as they are" {
	prints "<-c><--force><a  b><><--><*>" "$SOCKSHUNT" run \
		printf '<%s>' -c --force 'a  b' '' -- '*'
	prints "-c" "$SOCKSHUNT" run -- echo -c
	# shellcheck disable=SC2016 # its own shell expands it
	prints "sh" "$SOCKSHUNT" run sh -c 'echo $0'
}

@test "run: the exit status, and the signal, are the program's" {
	local want

	for want in 0 1 2 77 255; do
		tries "$SOCKSHUNT" run sh -c "exit $want"
		[ "$status" -eq "$want" ]
	done
	# shellcheck disable=SC2016 # its own shell expands it
	tries "$SOCKSHUNT" run sh -c 'kill -USR1 $$; echo not reached'
	[[ $status -eq $((128 + $(kill -l USR1))) && -z $output ]]
	# It is the same process: nobody in between has signals to pass on.
	start "$SOCKSHUNT" run sleep 100
	eventually grep -q sleep "/proc/${SERVERS[0]}/comm"
	kill -TERM "${SERVERS[0]}"
	wait "${SERVERS[0]}" || status=$?
	[ "$status" -eq 143 ]
}

@test "run: keeps what is preloaded already, and goes before it" {
	local other

	other=$(ldd "$(type -P ls)" | awk '/libc\.so/ { print $3 }')
	tries env LD_PRELOAD="$other" "$SOCKSHUNT" run printenv LD_PRELOAD
	[ "$output" = "$SHIM:$other" ]
	tries env LD_PRELOAD= "$SOCKSHUNT" run printenv LD_PRELOAD
	[ "$output" = "$SHIM" ]
}

@test "run: inside run, the shim is preloaded once" {
	prints "$SHIM" "$SOCKSHUNT" run "$SOCKSHUNT" run \
		"$SOCKSHUNT" run printenv LD_PRELOAD
	exchange "$SOCKSHUNT" run "$SOCKSHUNT" run
	was_redirected
}

@test "run: a program that is missing or cannot be run is named" {
	local dir=$BATS_TEST_TMPDIR

	refuses "cannot run no-such-program: No such file" \
		"$SOCKSHUNT" run no-such-program
	refuses "cannot run $dir/none: No such file" "$SOCKSHUNT" run "$dir/none"
	echo 'echo run' >"$dir/data"
	refuses "cannot run $dir/data: Permission denied" \
		"$SOCKSHUNT" run "$dir/data"
	refuses "cannot run $dir: " "$SOCKSHUNT" run "$dir"
	mkdir "$dir/program"
	PATH=$dir:$PATH refuses "cannot run program: " "$SOCKSHUNT" run program
}

@test "run: finds programs as the shell does" {
	local dir=$BATS_TEST_TMPDIR

	mkdir -p "$dir/first/tool" "$dir/second" "$dir/third"
	printf '#!/bin/sh\necho second\n' >"$dir/second/tool"
	printf '#!/bin/sh\necho third\n' >"$dir/third/tool"
	touch "$dir/first/data"
	chmod +x "$dir"/{second,third}/tool
	PATH=$dir/first:$dir/second:$dir/third:$PATH \
		prints second "$SOCKSHUNT" run tool
	cd "$dir/third"
	PATH=$PATH: prints third "$SOCKSHUNT" run tool
	prints third "$SOCKSHUNT" run ./tool
}

@test "run: refuses set-id programs, which would ignore it without a word" {
	local dir=$BATS_TEST_TMPDIR

	for mode in u+s g+s; do
		cp "$(type -P id)" "$dir/id"
		prints 0 "$SOCKSHUNT" run "$dir/id" -u
		chmod "$mode" "$dir/id"
		refuses "$dir/id is a set-id program" "$SOCKSHUNT" run "$dir/id"
		says "start it without sockshunt"
		PATH=$dir:$PATH refuses "$dir/id is a set-id program" \
			"$SOCKSHUNT" run id
		rm "$dir/id"
	done
}

@test "run: refuses programs with file capabilities, for the same reason" {
	local id=$BATS_TEST_TMPDIR/id

	cp "$(type -P id)" "$id"
	setcap cap_net_raw+ep "$id"
	refuses "$id has file capabilities" "$SOCKSHUNT" run "$id"
	says "start it without sockshunt"
	setcap -r "$id"
	prints 0 "$SOCKSHUNT" run "$id" -u
}

@test "run: warns that a static program cannot be reached, and runs it" {
	local program=$BATS_TEST_TMPDIR/static

	echo 'int main(void) { return 42; }' | gcc -static -x c -o "$program" -
	tries "$SOCKSHUNT" run "$program"
	[ "$status" -eq 42 ]
	says "warn: $program is statically linked"
	says "only cgroup_path reaches it"
}

@test "run: makes the configuration's name absolute" {
	local name=${CONF##*/}

	cd "${CONF%/*}"
	prints "$CONF" "$SOCKSHUNT" run -c "$name" printenv SOCKSHUNT_CONF
	prints "$CONF" "$SOCKSHUNT" run -c "../${PWD##*/}/$name" \
		printenv SOCKSHUNT_CONF
	SOCKSHUNT_CONF=$name \
		prints "$CONF" "$SOCKSHUNT" run printenv SOCKSHUNT_CONF
	# Without one there is none.
	[[ -e /etc/sockshunt.ini ]] || (
		unset SOCKSHUNT_CONF
		tries "$SOCKSHUNT" run printenv SOCKSHUNT_CONF
		[[ $status -eq 1 && -z $output ]]
	)
}

#
# What the shim exports, says and does
#

@test "shim: exports the functions of preload/hooks.h, and nothing else" {
	local expected

	expected=$(printf '%s\n' '#include "hooks.h"' \
		'#define NAME(name, type, args) @name@' 'SS_HOOKS(NAME) SS_GUARDS(NAME) SS_WAITS(NAME)' |
		gcc -E -P -I"$ROOT/preload" - | grep -o '@[A-Za-z_0-9]*@' |
		tr -d @ | sort)
	[ "$(wc -l <<<"$expected")" -ge 10 ]
	[ "$(nm -D --defined-only "$SHIM" | awk '{ print $3 }' | sort)" = \
		"$expected" ]
}

@test "shim: needs the C library only" {
	local needed

	needed=$(readelf -d "$SHIM" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
	[ "$needed" = libc.so.6 ]
}

@test "shim: SOCKSHUNT_DISABLE=1 makes no bpf(2) call and registers nothing" {
	local orders=$BATS_TEST_TMPDIR/orders

	echo 'send 5000' >"$orders"
	SOCKSHUNT_DISABLE=1 exchange "${SHIMMED[@]}"
	was_plain
	is_quiet
	[ ! -e "$PINS" ]
	"$SOCKSHUNT" load
	SOCKSHUNT_DISABLE=1 exchange "${SHIMMED[@]}"
	was_plain
	assert_counter registered -eq 0
	[ "$(calls bpf env SOCKSHUNT_DISABLE=1 "${SHIMMED[@]}" "$BIN/twoends" \
		<"$orders")" -eq 0 ]
	# The other side of it.
	[ "$(calls bpf env SOCKSHUNT_DISABLE=0 "${SHIMMED[@]}" "$BIN/twoends" \
		<"$orders")" -gt 2 ]
	assert_counter registered -eq 2
}

@test "shim: a broken configuration means plain TCP, and one line" {
	break_configuration
	exchange "${SHIMMED[@]}"
	was_plain
	says "$CONF:3: log_level: "
	says "plain TCP"
	[ ! -e "$PINS" ]
	SOCKSHUNT_CONF=/nonexistent.ini exchange "${SHIMMED[@]}"
	was_plain
	says "/nonexistent.ini: "
}

@test "shim: without privilege and with nothing loaded, one line says what to do" {
	publish
	exchange "${NOBODY[@]}" "${SHIMMED[@]}"
	was_plain
	says "nothing is loaded at $PINS"
	says "run 'sockshunt load' as root"
	says "plain TCP"
}

@test "shim: SOCKSHUNT_LOG=off is obeyed by every line" {
	publish
	export SOCKSHUNT_LOG=off
	exchange "${NOBODY[@]}" "${SHIMMED[@]}"
	was_plain
	is_quiet
	configure 'bpf_program_path = /nonexistent.o'
	exchange "${SHIMMED[@]}" # here it is the loader's
	was_plain
	is_quiet
	break_configuration
	exchange "${SHIMMED[@]}"
	was_plain
	is_quiet
}

@test "shim: SOCKSHUNT_LOG_FILE gets every line" {
	local log=$BATS_TEST_TMPDIR/log

	publish
	export SOCKSHUNT_LOG_FILE=$log
	touch "$log"
	chmod 666 "$log"
	exchange "${NOBODY[@]}" "${SHIMMED[@]}"
	is_quiet
	[ "$(grep -c 'nothing is loaded' "$log")" -eq 1 ]
	configure 'bpf_program_path = /nonexistent.o'
	exchange "${SHIMMED[@]}" # here it is the loader's
	is_quiet
	[ "$(grep -c 'cannot open /nonexistent.o' "$log")" -eq 1 ]
	break_configuration
	exchange "${SHIMMED[@]}"
	is_quiet
	[ "$(grep -c "$CONF:3: log_level" "$log")" -eq 1 ]
	[ "$(wc -l <"$log")" -eq 3 ]
}

@test "shim: a program that never uses TCP is left alone" {
	local fds

	break_configuration # which would be told
	# shellcheck disable=SC2012 # the names are numbers
	fds=$(ls /proc/self/fd | wc -l)
	tries "${SHIMMED[@]}" ls /proc/self/fd
	[[ $status -eq 0 && ${#lines[@]} -eq $fds ]]
	is_quiet
	[ "$(calls bpf "${SHIMMED[@]}" ls /)" -eq 0 ]
}

@test "shim: a server and a client on a unix socket are left alone" {
	local socket=$BATS_TEST_TMPDIR/redis fds

	start "${SHIMMED[@]}" redis-server --port 0 --unixsocket "$socket" \
		--save ''
	eventually test -S "$socket"
	tries "${SHIMMED[@]}" redis-cli -s "$socket" ping
	[[ $output == PONG ]]
	is_quiet
	[[ $(<"$LOG") != *sockshunt\[* ]] || fail_with "$(<"$LOG")"
	fds=$(readlink "/proc/${SERVERS[0]}/fd"/* || true) # one may close meanwhile
	[[ $fds != *bpf* ]] || fail_with "$fds"
	[ ! -e "$PINS" ]
}

@test "shim: a data file on descriptor 2 never gets a log line" {
	local data=$BATS_TEST_TMPDIR/data program

	start redis-server --port 7001 --save ''
	wait_for_port 7001
	# A shell that connects by itself, after it has put a file there.
	# shellcheck disable=SC2016 # its own shell expands it
	program='exec 2>"$0"; exec 5<>/dev/tcp/127.0.0.1/7001; echo PING >&5
		read -r answer <&5; echo "$answer"'

	# Where 2 was closed at the start, it is not standard error either.
	break_configuration
	# shellcheck disable=SC2016 # its own shell expands it
	tries sh -c 'exec "$@" 2>&-' sh "${SHIMMED[@]}" bash -c "$program" "$data"
	[[ $status -eq 0 && $output == +PONG* ]]
	[[ -e $data && ! -s $data ]] || fail_with "$(cat "$data")"

	# A line of the shim's own.
	tries "${SHIMMED[@]}" bash -c "$program" "$data"
	[[ $status -eq 0 && $output == +PONG* ]]
	is_quiet
	[[ -e $data && ! -s $data ]] || fail_with "$(cat "$data")"
	# One of the loader's.
	configure 'bpf_program_path = /nonexistent.o'
	tries "${SHIMMED[@]}" bash -c "$program" "$data"
	[[ $status -eq 0 && $output == +PONG* ]]
	is_quiet
	[[ ! -s $data ]] || fail_with "$(cat "$data")"
	# There was something to say.
	tries "${SHIMMED[@]}" bash -c "${program#*;}"
	says "cannot open /nonexistent.o"
}

#
# Installation
#

@test "install: DESTDIR gets all files, which work there; uninstall removes them" {
	local dest=$BATS_TEST_TMPDIR/dest

	make_here install DESTDIR="$dest" PREFIX=/usr
	[ "$(cd "$dest" && find . -type f | sort)" = "./usr/bin/sockshunt
./usr/lib/sockshunt/container.ini
./usr/lib/sockshunt/libsockshunt.so
./usr/lib/sockshunt/sockshunt-entrypoint
./usr/lib/sockshunt/sockshunt-loader
./usr/lib/sockshunt/sockshunt.bpf.o
./usr/lib/systemd/system/sockshunt.service
./usr/share/doc/sockshunt/50-sockshunt.conf
./usr/share/doc/sockshunt/LICENSE
./usr/share/doc/sockshunt/README.md
./usr/share/doc/sockshunt/containers/Containerfile
./usr/share/doc/sockshunt/containers/daemonset.yaml
./usr/share/doc/sockshunt/containers/deployment.yaml
./usr/share/doc/sockshunt/containers/seccomp.jq
./usr/share/doc/sockshunt/containers/sockshunt.Containerfile
./usr/share/doc/sockshunt/sockshunt.ini" ]
	tries "$dest/usr/bin/sockshunt" status
	[[ $status -eq 1 && $output == *"not loaded"* ]]
	prints "" "$dest/usr/bin/sockshunt" load
	tries "$dest/usr/bin/sockshunt" status --json
	[ "$status" -eq 0 ]
	jq -e '.state == "loaded"' <<<"$output"
	prints "" "$dest/usr/bin/sockshunt" unload
	# The shim finds its loader there.
	exchange env LD_PRELOAD="$dest/usr/lib/sockshunt/libsockshunt.so"
	was_redirected
	is_quiet

	make_here uninstall DESTDIR="$dest" PREFIX=/usr
	[ -z "$(find "$dest" -type f)" ]
}

@test "install: with any PREFIX, the installed run finds the installed shim" {
	local prefix=$BATS_TEST_TMPDIR/prefix

	make_here install PREFIX="$prefix"
	exchange "$prefix/bin/sockshunt" run
	was_redirected
	is_quiet
	tries "$prefix/bin/sockshunt" run printenv LD_PRELOAD
	[ "$output" = "$prefix/lib/sockshunt/libsockshunt.so" ]
	make_here all # for the suites to come: without that prefix
}
