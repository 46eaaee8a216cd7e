#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# The configuration file: what each key takes, and what is said about every
# mistake. conf_dump prints what the shim would use.

load helpers

setup() {
	ini="$BATS_TEST_TMPDIR/conf.ini"
	unset SOCKSHUNT_CONF
}

# dump [ARGUMENT]...: runs conf_dump, for $output and $stderr.
dump() {
	run --separate-stderr "$BIN/conf_dump" "$@"
}

fail_with() {
	printf '%s\n' "$@" "exit: $status" "output: $output" \
		"error: $stderr" >&2
	return 1
}

# has_line LINE: conf_dump succeeded, and LINE is a whole line of its output.
has_line() {
	[[ $status -eq 0 && -z $stderr && $'\n'$output$'\n' == *$'\n'$1$'\n'* ]] ||
		fail_with "expected the line: $1"
}

# reads TEXT LINE: the file TEXT (as for printf) is valid and gives LINE.
reads() {
	# shellcheck disable=SC2059 # the text is a format on purpose
	printf "$1" >"$ini"
	dump "$ini"
	has_line "$2" || fail_with "file: ${1:0:300}"
}

# is_error PREFIX WHAT: one short printable line that starts with PREFIX.
is_error() {
	[[ $status -eq 1 && -z $output && $stderr == "$1"*"$2"* ]] ||
		fail_with "expected the error: $1 ... $2" || return
	[[ ${#stderr} -lt 500 && $stderr != *[![:print:]]* ]] ||
		fail_with "expected one short, printable line"
}

# refuses TEXT LINE KEY WHAT: the file TEXT is refused for WHAT, and the
# message names the file, LINE and KEY, and the accepted form.
refuses() {
	# shellcheck disable=SC2059 # the text is a format on purpose
	printf "$1" >"$ini"
	dump "$ini"
	is_error "$ini:$2: $3: " "$4" || fail_with "file: ${1:0:300}"
	[[ $stderr == *"; "* ]] || fail_with "expected the accepted form"
}

# Tables from standard input, for one key, with columns separated by "|".
# takes KEY: value | what it gives
takes() {
	local value shown

	while IFS='|' read -r value shown; do
		reads "[sockshunt]\n$1 =${value% }\n" "$1=${shown# }"
	done
}

# refuses_values KEY: value | what is wrong
refuses_values() {
	local value what

	while IFS='|' read -r value what; do
		refuses "[sockshunt]\n\n$1 =${value% }\n" 3 "$1" "${what# }"
		[[ $stderr == *"; accepted: "* ]] ||
			fail_with "expected the accepted form"
	done
}

# repeat N TEXT
repeat() {
	printf "%.0s$2" $(seq "$1")
}

defaults='bpf_program_path=
cgroup_path=
sockhash_max_entries=65536
register_user_space_sockets=true
accelerated_ports=
pin_path=/sys/fs/bpf/sockshunt
pin_group=
log_level=warn
register_after_exchanges=2
busy_poll_usecs=0'

#
# Defaults
#

@test "conf: an empty file, comments alone and an empty section give the defaults" {
	for text in '' '\n\n' '# only\n; comments\n' '[sockshunt]\n' \
		'[sockshunt]'; do
		# shellcheck disable=SC2059 # the text is a format on purpose
		printf "$text" >"$ini"
		dump "$ini"
		[[ $status -eq 0 && $output == "$defaults" ]] || fail_with "$text"
	done
	dump /dev/null
	[[ $status -eq 0 && $output == "$defaults" ]]
}

@test "conf: the sample sets every key and gives the defaults" {
	dump "$ROOT/conf/sockshunt.ini"
	[ "$status" -eq 0 ]
	[ "$output" = "$defaults" ]
	while IFS='=' read -r key _; do
		[ "$(grep -c "^$key =" "$ROOT/conf/sockshunt.ini")" -eq 1 ]
	done <<<"$defaults"
}

#
# The keys
#

@test "conf: bpf_program_path is empty or an absolute path" {
	takes bpf_program_path <<-'END'
		|
		 /usr/lib/sockshunt/custom.bpf.o | /usr/lib/sockshunt/custom.bpf.o
		 /with blanks/and=equals:signs | /with blanks/and=equals:signs
		 /semicolon;inside | /semicolon;inside
		 /caf\xc3\xa9.o | /café.o
	END
	refuses_values bpf_program_path <<-'END'
		 custom.bpf.o | "custom.bpf.o" is not an absolute path
		 ./custom.bpf.o | is not an absolute path
		 ~/custom.bpf.o | is not an absolute path
		 "/quoted" | is not an absolute path
		 /bell\x07 | "/bell\x07" has a control character
		 /delete\x7f | has a control character
		 /tab\tinside | has a control character
	END
}

@test "conf: cgroup_path is empty or an absolute path" {
	takes cgroup_path <<-'END'
		|
		 /sys/fs/cgroup | /sys/fs/cgroup
		 /sys/fs/cgroup/system.slice/x.service | /sys/fs/cgroup/system.slice/x.service
	END
	refuses_values cgroup_path <<-'END'
		 system.slice | "system.slice" is not an absolute path
		 /es\x1bcape | "/es\x1bcape" has a control character
	END
}

@test "conf: sockhash_max_entries is a decimal u32 of at least 1" {
	takes sockhash_max_entries <<-'END'
		 1 | 1
		 65536 | 65536
		1024| 1024
		 010 | 10
		 4294967295 | 4294967295
	END
	refuses_values sockhash_max_entries <<-'END'
		| the value is missing
		 0 | "0" is not a number in range
		 4294967296 | is not a number in range
		 4294967297 | is not a number in range
		 42949672950 | is not a number in range
		 18446744073709551617 | is not a number in range
		 -1 | is not a number in range
		 +1 | is not a number in range
		 1k | is not a number in range
		 1 2 | is not a number in range
		 1,000 | is not a number in range
		 0x10 | is not a number in range
		 1e3 | is not a number in range
		 1.5 | is not a number in range
		 many | is not a number in range
	END
}

@test "conf: register_user_space_sockets is a boolean" {
	takes register_user_space_sockets <<-'END'
		 true | true
		 yes | true
		 on | true
		 1 | true
		 false | false
		 no | false
		 off | false
		 0 | false
	END
	refuses_values register_user_space_sockets <<-'END'
		| the value is missing
		 True | "True" is neither true nor false
		 2 | is neither true nor false
		 00 | is neither true nor false
		 tru | is neither true nor false
		 trueish | is neither true nor false
		 yes no | is neither true nor false
	END
}

@test "conf: accelerated_ports takes ports and inclusive ranges" {
	takes accelerated_ports <<-'END'
		|
		 6379 | 6379-6379
		 6379, 8000-8010 | 6379-6379,8000-8010
		 1,65535 | 1-1,65535-65535
		 1-65535 | 1-65535
		 80-80 | 80-80
		 080 | 80-80
		 80  ,81 ,	82 | 80-80,81-81,82-82
		 80 - 90,100- 110,120 -130 | 80-90,100-110,120-130
		 90-95,80-92,80 | 90-95,80-92,80-80
		 80 ; the web | 80-80
	END
}

@test "conf: accelerated_ports refuses what is no port, range or list" {
	refuses_values accelerated_ports <<-'END'
		 0 | "0" is not a port or a range
		 65536 | "65536" is not a port or a range
		 4294967376 | is not a port or a range
		 80, 0-90 | "0-90" is not a port or a range
		 80-65536 | is not a port or a range
		 -80 | is not a port or a range
		 80- | "80-" is not a port or a range
		 80-90-100 | is not a port or a range
		 80--90 | is not a port or a range
		 80..90 | is not a port or a range
		 80 90 | "80 90" is not a port or a range
		 80;90 | is not a port or a range
		 80/tcp | is not a port or a range
		 http | "http" is not a port or a range
		 0x50 | is not a port or a range
		 \xe2\x80\x93 | "\xe2\x80\x93" is not a port or a range
		 90-80 | "90-80" ends before it starts
		 65535-1 | ends before it starts
		 , | there is a stray comma
		 ,80 | there is a stray comma
		 80,,81 | there is a stray comma
		 80, ,81 | there is a stray comma
		 80, | the list ends with a comma
	END
}

@test "conf: accelerated_ports may be continued on indented lines" {
	local head='[sockshunt]\naccelerated_ports ='
	local all='accelerated_ports=80-80,81-82,83-83'

	reads "$head 80,\n  81-82,\n\t83\n" "$all"
	reads "$head 80\n  81-82\n  83\n" "$all"
	reads "$head\n  80, 81-82\n  83\nlog_level = info\n" "$all"
	reads "$head 80,\n\n  81-82,\n# a comment\n  83" "$all"
	reads "$head 80, ; one\n  81-82, ; two\n  83 ; three\n" "$all"
	reads "$head 80,\r\n  81-82,\r\n  83\r\n" "$all"

	refuses "$head 80,\n  81,x\n" 3 accelerated_ports '"x" is not a port'
	refuses "$head 80\n  ,81\n" 3 accelerated_ports 'stray comma'
	refuses "$head 80,\n  ,81\n" 3 accelerated_ports 'stray comma'
	refuses "$head 80 -\n  90\n" 2 accelerated_ports '"80 -" is not a port'
	refuses "$head 80,\n  81,\n" 3 accelerated_ports 'ends with a comma'
	refuses "$head 80,\n\nlog_level = info\n" 2 accelerated_ports \
		'ends with a comma'
	refuses "$head 80,\n[sockshunt]\n" 2 accelerated_ports \
		'ends with a comma'
	refuses "$head 80\n  log_level = info\n" 3 accelerated_ports \
		'"log_level = info" is not a port'
	refuses "$head 80\n  [sockshunt]\n" 3 accelerated_ports \
		'"[sockshunt]" is not a port'
}

@test "conf: accelerated_ports takes 128 ranges and refuses one more" {
	local head='[sockshunt]\naccelerated_ports =\n'

	reads "$head$(repeat 128 ' 7-8\\n')" \
		"accelerated_ports=$(repeat 127 7-8,)7-8"
	refuses "$head$(repeat 128 ' 7-8\\n') 9\n" 131 accelerated_ports \
		'"9" is one range too many'
}

@test "conf: a connection is in scope if one of its ports is listed" {
	local ports a b scope

	while read -r ports a b scope; do
		printf '[sockshunt]\naccelerated_ports = %s\n' "$ports" >"$ini"
		dump "$ini" "$a" "$b"
		has_line "in_scope=$scope"
	done <<-'END'
		80 80 40000 true
		80 40000 80 true
		80 79 81 false
		80-90,100 40000 80 true
		80-90,100 90 40000 true
		80-90,100 40000 100 true
		80-90,100 79 91 false
		1-65535 1 65535 true
	END
	printf '[sockshunt]\naccelerated_ports =\n' >"$ini"
	dump "$ini" 1 2
	has_line in_scope=true
}

@test "conf: pin_path is an absolute path whose last name has no dot" {
	takes pin_path <<-'END'
		 /sys/fs/bpf/sockshunt | /sys/fs/bpf/sockshunt
		 /run/bpf/a-b_c/ | /run/bpf/a-b_c/
		 /run/bpf.d/../x/abc | /run/bpf.d/../x/abc
	END
	refuses_values pin_path <<-'END'
		| the value is missing
		 ; only a comment | the value is missing
		 sys/fs/bpf | "sys/fs/bpf" is not an absolute path
		 /sys/fs/bpf/a.b | "/sys/fs/bpf/a.b" has a dot
		 /sys/fs/bpf/a.b/ | has a dot
		 /sys/fs/bpf/.. | has a dot
		 . | has a dot
		 /sys/fs/bpf/\x01 | has a control character
	END
}

@test "conf: pin_group is empty, a name or a number" {
	takes pin_group <<-'END'
		|
		 sockshunt | sockshunt
		 1000 | 1000
		 _a-B.9$ | _a-B.9$
	END
	refuses_values pin_group <<-'END'
		 two words | "two words" is not a group
		 a,b | is not a group
		 a/b | is not a group
		 #root | is not a group
		 gr\xc3\xbcn | "gr\xc3\xbcn" is not a group
		 a\tb | is not a group
	END
}

@test "conf: log_level is one of five words" {
	takes log_level <<-'END'
		 off | off
		 error | error
		 warn | warn
		 info | info
		 debug | debug
	END
	refuses_values log_level <<-'END'
		| the value is missing
		 warning | "warning" is not a log level
		 Debug | is not a log level
		 3 | is not a log level
		 info debug | is not a log level
	END
}

@test "conf: register_after_exchanges is a number up to 100" {
	takes register_after_exchanges <<-'END'
		 0 | 0
		 02 | 2
		 100 | 100
	END
	refuses_values register_after_exchanges <<-'END'
		| the value is missing
		 101 | "101" is not a number in range; accepted: a decimal number, 0 (at once) to 100
		 4294967296 | is not a number in range
		 -1 | is not a number in range
		 1.5 | is not a number in range
		 never | is not a number in range
	END
}

@test "conf: busy_poll_usecs is a number up to 1000" {
	takes busy_poll_usecs <<-'END'
		 0 | 0
		 00 | 0
		 50 | 50
		 1000 | 1000
	END
	refuses_values busy_poll_usecs <<-'END'
		| the value is missing
		 1001 | "1001" is not a number in range; accepted: a decimal number, 0 (none) to 1000
		 4294967296 | is not a number in range
		 -0 | is not a number in range
		 off | is not a number in range
	END
}

#
# The file's form
#

@test "conf: comments, blanks, CRLF, a BOM, a colon and a missing last newline are fine" {
	reads '[sockshunt]\npin_group = a ; why\n' pin_group=a
	reads '[sockshunt]\npin_group = a\t;why\n' pin_group=a
	reads '  # one\n\t; two\n[sockshunt]\npin_group=a\n' pin_group=a
	reads '[sockshunt]\n   pin_group   =   a   \n' pin_group=a
	reads '[sockshunt]\npin_group: a\n' pin_group=a
	reads '[sockshunt]\npin_group = a' pin_group=a
	reads '[sockshunt]\r\n\r\npin_group = a\r\n' pin_group=a
	reads '[sockshunt]\r\npin_group = a\r' pin_group=a
	reads '\xef\xbb\xbf[sockshunt]\npin_group = a\n' pin_group=a
	reads '\xef\xbb\xbf# comment\n[sockshunt]\npin_group = a\n' pin_group=a
	reads '  [sockshunt]  ; here\npin_group = a\n' pin_group=a
	reads '[sockshunt]\npin_group = a\n[sockshunt]\nlog_level = off\n' \
		pin_group=a
	reads '[sockshunt]\npin_group = a\n[sockshunt]\n  log_level = off\n' \
		log_level=off
}

@test "conf: an unknown key is an error that lists the keys" {
	refuses '[sockshunt]\nports = 80\n' 2 ports 'is not a key; accepted: '
	while IFS='=' read -r key _; do
		[[ $stderr == *" $key"* ]] || fail_with "$key"
	done <<<"$defaults"
	refuses '[sockshunt]\nPin_path = /x\n' 2 Pin_path 'is not a key'
	refuses '[sockshunt]\npin path = /x\n' 2 'pin path' 'is not a key'
	refuses '[sockshunt]\n\x1b[2J = 1\n' 2 '\x1b[2J' 'is not a key'
	printf '[sockshunt]\n= 80\n' >"$ini"
	dump "$ini"
	is_error "$ini:2: is not a key; accepted: bpf_program_path, "
}

@test "conf: any other section is an error, even without keys" {
	for section in '[other]' '[Sockshunt]' '[ sockshunt ]' '[sockshunt' \
		'[]' '[sockshunt2]' '[sockshunt] log_level = info' '[[sockshunt]]'; do
		refuses "# one\n$section\n" 2 "$section" 'is not a section'
		refuses "[sockshunt]\nlog_level = off\n$section\n" 3 "$section" \
			'is not a section'
	done
}

@test "conf: a key before the section is an error" {
	refuses 'pin_group = a\n[sockshunt]\n' 1 pin_group \
		'stands before any section'
	refuses '\xef\xbb\xbfpin_group = a\n' 1 pin_group \
		'stands before any section'
	refuses '\nunknown = a\n' 2 unknown 'stands before any section'
}

@test "conf: a key that is set twice is an error" {
	while IFS='=' read -r key value; do
		refuses "[sockshunt]\n$key = $value\n\n$key = $value\n" 4 "$key" \
			'is set a second time'
	done <<<"$defaults"
	refuses '[sockshunt]\npin_group = a\n[sockshunt]\npin_group = a\n' 4 \
		pin_group 'is set a second time'
}

@test "conf: a line without an equals sign is an error" {
	refuses '[sockshunt]\npin_group a\n' 2 pin_group 'there is no "="'
	refuses '[sockshunt]\npin_group\nlog_level = off\n' 2 pin_group \
		'there is no "="'
	refuses '[sockshunt]\npin_group ; = a\n' 2 pin_group 'there is no "="'
	refuses '[sockshunt]\r\npin_group\r\n' 2 pin_group 'there is no "="'
	refuses 'pin_group' 1 pin_group 'there is no "="'
	refuses '[sockshunt]\n\xef\xbb\xbf# no BOM here\n' 2 '\xef\xbb\xbf#' \
		'there is no "="'
}

@test "conf: only a list may be continued on an indented line" {
	while IFS='=' read -r key value; do
		[ "$key" != accelerated_ports ] || continue
		refuses "[sockshunt]\n$key = $value\n  log_level = info\n" 3 "$key" \
			'an indented line continues the value'
	done <<<"$defaults"
}

@test "conf: a line holds 199 characters and not one more" {
	local head='[sockshunt]\npin_group = '

	reads "$head$(repeat 187 a)\n" "pin_group=$(repeat 187 a)"
	reads "$head$(repeat 187 a)\r\n" "pin_group=$(repeat 187 a)"
	reads "$head$(repeat 187 a)" "pin_group=$(repeat 187 a)"
	refuses "$head$(repeat 188 a)\n" 2 pin_group 'longer than 199 characters'
	refuses "$head$(repeat 188 a)\r\n" 2 pin_group 'longer than 199 characters'
	refuses "$head$(repeat 188 a)" 2 pin_group 'longer than 199 characters'
	refuses "[sockshunt]\naccelerated_ports = $(repeat 99 '80, ')80\n" 2 \
		accelerated_ports 'a list may be continued on an indented line'
	refuses "[sockshunt]\n#$(repeat 9999 a)\n" 2 "#$(repeat 36 a)..." \
		'longer than 199 characters'
}

@test "conf: a NUL byte is an error" {
	refuses '[sockshunt]\npin_group = a\0b\n' 2 pin_group 'has a NUL byte'
	refuses '[sockshunt]\n# comment\0\n' 2 '#' 'has a NUL byte'
	refuses "[sockshunt]\npin_group = $(repeat 300 a)\0\n" 2 pin_group \
		'has a NUL byte'
}

@test "conf: the first of several mistakes is reported" {
	refuses '[sockshunt]\nlog_level = x\npin_group a\nnope = 1\n[no]\n' 2 \
		log_level 'is not a log level'
	refuses '[sockshunt]\npin_group a\nlog_level = x\n[no]\n' 2 \
		pin_group 'there is no "="'
}

@test "conf: a message stays one short printable line, whatever the file holds" {
	local dir file

	refuses "[sockshunt]\nlog_level = $(repeat 180 '\\x01')\n" 2 log_level \
		'\x01..." is not a log level'
	refuses "[sockshunt]\n$(repeat 150 '\\xff') = 1\n" 2 \
		"$(repeat 9 '\\xff')..." 'is not a key'
	head -c 8192 /dev/urandom | tr -d '\n' >"$ini"
	dump "$ini"
	is_error "$ini:1: "

	dir="$BATS_TEST_TMPDIR/$(repeat 200 d)/$(repeat 200 e)"
	mkdir -p "$dir"
	printf '[sockshunt]\n%s = 1\n' "$(repeat 150 k)" >"$dir/conf.ini"
	dump "$dir/conf.ini"
	is_error ...eee "eee/conf.ini:2: $(repeat 37 k)...: is not a key"

	file="$BATS_TEST_TMPDIR/new"$'\n'"line.ini"
	echo 'x' >"$file"
	dump "$file"
	is_error "$BATS_TEST_TMPDIR/new\x0aline.ini:1: x: "
}

#
# The file itself
#

@test "conf: a file that cannot be used is an error that names it" {
	dump "$ini"
	is_error "$ini: cannot be opened: No such file or directory"
	dump ''
	is_error ': cannot be opened: '
	dump "$BATS_TEST_TMPDIR"
	is_error "$BATS_TEST_TMPDIR: is a directory"
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	run --separate-stderr timeout 10 "$BIN/conf_dump" "$BATS_TEST_TMPDIR/fifo"
	is_error "$BATS_TEST_TMPDIR/fifo: is not a regular file"
	dump /proc/self/mem
	is_error '/proc/self/mem: cannot be read: '
}

@test "conf: a file without read permission is an error that names it" {
	local unprivileged=()

	if [ "$EUID" -eq 0 ]; then
		unprivileged=(setpriv --inh-caps=-all --bounding-set=-all)
	fi
	echo >"$ini"
	chmod 000 "$ini"
	run --separate-stderr "${unprivileged[@]}" "$BIN/conf_dump" "$ini"
	is_error "$ini: cannot be opened: Permission denied"
}

@test "conf: a file of 1 MiB is read, and a larger one is an error" {
	yes '#' | head -c 1048576 >"$ini"
	dump "$ini"
	has_line log_level=warn
	echo >>"$ini"
	dump "$ini"
	is_error "$ini: is larger than 1 MiB"
}

@test "conf: SOCKSHUNT_CONF names the file" {
	printf '[sockshunt]\nlog_level = info\n' >"$ini"
	SOCKSHUNT_CONF="$ini" dump
	has_line log_level=info
	SOCKSHUNT_CONF="$BATS_TEST_TMPDIR/missing" dump
	is_error "$BATS_TEST_TMPDIR/missing: cannot be opened: "
}

@test "conf: a set-id program ignores SOCKSHUNT_CONF" {
	local program="$BATS_TEST_TMPDIR/program"

	[ "$EUID" -eq 0 ] || skip "optional: needs root to make a set-id program"
	[ ! -e /etc/sockshunt.ini ] || skip "optional: /etc/sockshunt.ini exists"
	cp "$(command -v id)" "$program"
	chown nobody "$program"
	chmod u+s "$program"
	[ "$("$program" -u)" != 0 ] ||
		skip "optional: $BATS_TEST_TMPDIR is mounted nosuid"

	cat "$BIN/conf_dump" >"$program"
	chmod u+s "$program"
	printf '[sockshunt]\nlog_level = info\n' >"$ini"
	SOCKSHUNT_CONF="$ini" run --separate-stderr "$program"
	[[ $status -eq 0 && $output == "$defaults" ]] || fail_with "expected the defaults"
}

@test "conf: without SOCKSHUNT_CONF and the system's file the defaults hold" {
	[ ! -e /etc/sockshunt.ini ] || skip "optional: /etc/sockshunt.ini exists"
	dump
	[ "$status" -eq 0 ]
	[ "$output" = "$defaults" ]
	SOCKSHUNT_CONF='' dump
	[ "$status" -eq 0 ]
	[ "$output" = "$defaults" ]
}
