#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Who may load, who may use what is loaded, and what one of those who may can do to
# the others. kernel.unprivileged_bpf_disabled, which is the whole machine's, is
# tested in booted kernels: "unprivileged" of tests/kernels/promises.
# shellcheck disable=SC2030,SC2031 # bats runs each test in a subshell
# shellcheck disable=SC2153,SC2154 # start sets SERVER, and run stderr

load helpers
load twoends

teardown() {
	end_servers
	remove_cgroup
	ip netns del other 2>/dev/null || true
}

# as_user GROUP[,GROUP...] [OPTION...] COMMAND...: nobody, in these groups only.
as_user() {
	setpriv --reuid=65534 --regid="${1%%,*}" --groups="$1" "${@:2}"
}

NO_CAPS=(--inh-caps=-all --bounding-set=-all)
HARDENED=(--no-new-privs --inh-caps=-all --ambient-caps=-all --bounding-set=-all)

# without CAPABILITY[,...] COMMAND...: root, but for these.
without() {
	setpriv --inh-caps=-all --bounding-set="-${1//,/,-}" "${@:2}"
}

# accelerates PREFIX...: of a program run so, every byte, and nothing is said.
accelerates() {
	local before

	before=$(redirected)
	exchange "$@" "${SHIMMED[@]}"
	was_redirected
	is_quiet
	assert_counter redirected_bytes -eq $((before + 10000))
}

# stays_on_tcp LINE PREFIX...: of a program run so, with this line.
stays_on_tcp() {
	local before

	before=$(redirected)
	exchange "${@:2}" "${SHIMMED[@]}"
	was_plain
	says "$1"
	[[ $(redirected) -eq $before ]]
}

# The bytes that were; none, where nothing is loaded yet.
redirected() {
	local bytes

	bytes=$(counter redirected_bytes)
	[[ $bytes != null ]] || bytes=0
	echo "$bytes"
}

#
# Who loads
#

@test "privilege: root: the first program loads, others use it" {
	[[ ! -e $PINS ]]
	accelerates env
	[[ $("$SOCKSHUNT" status --json | jq .loader_uid) -eq 0 ]]
	accelerates env
}

@test "privilege: CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON load, and no more is needed" {
	# shellcheck disable=SC2054 # these commas are setpriv's
	local three=(as_user 65534 --inh-caps=-all,+bpf,+net_admin,+perfmon
		--ambient-caps=-all,+bpf,+net_admin,+perfmon
		--bounding-set=-all,+bpf,+net_admin,+perfmon)

	publish
	mkdir "$PINS"
	chown 65534:65534 "$PINS"
	succeeds "${three[@]}" "$SOCKSHUNT" load
	[[ $("$SOCKSHUNT" status --json | jq .loader_uid) -eq 65534 ]]
	accelerates "${three[@]}"
	run -0 "${three[@]}" "$SOCKSHUNT" unload
	[[ -z $(find "$PINS" -mindepth 1) ]] # the directory is in root's
	# The shim does it as well.
	accelerates "${three[@]}"
}

@test "privilege: each of the three is needed" {
	local missing

	for missing in bpf net_admin perfmon; do
		refuses "needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON" \
			without "$missing,sys_admin" "$SOCKSHUNT" load
		stays_on_tcp "needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON" \
			without "$missing,sys_admin"
		[[ ! -e $PINS/control ]]
	done
	stays_on_tcp "run 'sockshunt load' as root" without bpf,sys_admin
	# They are for loading only.
	"$SOCKSHUNT" load
	accelerates without bpf,net_admin,perfmon,sys_admin
}

@test "privilege: without any, nothing is loaded, and a line says who can" {
	publish
	refuses "Permission denied" as_user 65534 "${NO_CAPS[@]}" "$SOCKSHUNT" load
	stays_on_tcp "run 'sockshunt load' as root" as_user 65534 "${NO_CAPS[@]}"
	# The directory alone does not help.
	mkdir "$PINS"
	chown 65534:65534 "$PINS"
	refuses "needs root, or CAP_BPF" \
		as_user 65534 "${NO_CAPS[@]}" "$SOCKSHUNT" load
	stays_on_tcp "run 'sockshunt load' as root" as_user 65534 "${NO_CAPS[@]}"
	[[ -z $(find "$PINS" -mindepth 1) ]]
}

#
# Who uses what is loaded
#

@test "privilege: pin_group: its members are accelerated, others not" {
	local line="Permission denied (pin_group grants access)"

	publish
	configure 'pin_group = daemon'
	"$SOCKSHUNT" load
	accelerates as_user daemon "${NO_CAPS[@]}"
	accelerates as_user 65534,daemon "${NO_CAPS[@]}"
	succeeds as_user daemon "${NO_CAPS[@]}" "$SOCKSHUNT" status --json
	jq -e '.state == "loaded" and .counters.redirected_bytes == 20000' \
		<<<"$output"

	stays_on_tcp "$line" as_user 65534 "${NO_CAPS[@]}"
	run --separate-stderr as_user 65534 "${NO_CAPS[@]}" "$SOCKSHUNT" status
	[[ $status -eq 1 && $output == *"no access"*"Permission denied"* ]]
}

@test "privilege: pin_group: the pins are the group's to use, not to remove" {
	local group pin

	for group in daemon "$(getent group daemon | cut -d: -f3)"; do
		configure "pin_group = $group"
		(umask 0 && "$SOCKSHUNT" load)
		for pin in "$PINS"/*; do
			[ "$(stat -c '%U:%G %a' "$pin")" = "root:daemon 660" ]
		done
		[[ $(stat -c '%U:%G %A' "$PINS") == root:daemon\ drwx[r-]-x--- ]] ||
			fail_with "$(stat -c '%U:%G %A' "$PINS")"
		run ! as_user daemon rm "$PINS/control"
		run ! as_user daemon ln "$PINS/control" "$PINS/other"
		run ! as_user daemon chmod 666 "$PINS/control"
		run ! as_user daemon flock -n "$PINS" true # it would stop loaders
		succeeds "$SOCKSHUNT" unload
	done
}

@test "privilege: pin_group: one that does not exist is an error" {
	configure 'pin_group = no-such-group'
	refuses "no group 'no-such-group'" "$SOCKSHUNT" load
	[[ -z $(find "$PINS" -mindepth 1) ]]
	stays_on_tcp "no group 'no-such-group'" env
}

@test "privilege: without a pin_group they are the owner's alone, whatever the umask" {
	local pin

	publish
	cp "$ROOT/tests/bin/hostile" "$BIN/"
	(umask 0 && "$SOCKSHUNT" load)
	for pin in "$PINS"/*; do
		[ "$(stat -c '%U %a' "$pin")" = "root 600" ]
	done
	[ "$(stat -c '%U %a' "$PINS")" = "root 700" ]
	stays_on_tcp "Permission denied (pin_group grants access)" \
		as_user 65534,daemon "${NO_CAPS[@]}"
	# Nor by their names, though the directory be opened, nor by numbers.
	chmod 755 "$PINS"
	run -1 --separate-stderr as_user 65534,daemon "${NO_CAPS[@]}" \
		"$BIN/hostile" "$PINS" open
	[[ $output == "opened nothing" && $stderr == *"control: Permission denied"* &&
		$stderr == *"sockhash: Permission denied"* ]]
	run -1 as_user 65534,daemon "${NO_CAPS[@]}" "$BIN/hostile" "$PINS" fds
	[[ $output == "by number: Operation not permitted" ]]
}

@test "privilege: no_new_privs and an empty bounding set, as in hardened images" {
	local no_caps=$'CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1'

	publish
	configure 'pin_group = daemon'
	# As what the image's user is: root without capabilities, or a user.
	stays_on_tcp "run 'sockshunt load' as root" setpriv "${HARDENED[@]}"
	stays_on_tcp "run 'sockshunt load' as root" as_user daemon "${HARDENED[@]}"
	"$SOCKSHUNT" load
	run -0 as_user daemon "${HARDENED[@]}" \
		grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status
	[[ $output == "$no_caps" ]]
	accelerates as_user daemon "${HARDENED[@]}"
	accelerates setpriv "${HARDENED[@]}" # who owns the pins
	stays_on_tcp "Permission denied (pin_group grants access)" \
		as_user 65534 "${HARDENED[@]}"
}

#
# Set-id programs, and those with file capabilities
#

# make_program: PROGRAM is root's, and where such bits count.
make_program() {
	publish
	PROGRAM=$SANDBOX/program-$BATS_SUITE_TEST_NUMBER
	cp "$BIN/twoends" "$PROGRAM"
	! findmnt -no OPTIONS -T "$PROGRAM" | grep -qw nosuid ||
		skip "optional: $SANDBOX is mounted nosuid"
}

# privileged HOW...: PROGRAM, made so; nothing that it was before.
privileged() {
	setcap -r "$PROGRAM" 2>/dev/null || true
	chmod 755 "$PROGRAM"
	"$@" "$PROGRAM"
}

# by_nobody COMMAND...: who may gain capabilities from a file. Its bytes arrive.
by_nobody() {
	run --separate-stderr as_user 65534 --inh-caps=-all "$@" \
		<<<$'send 5000\nread\ntcp'
	[[ $status -eq 0 && $output == $'ready\nsent\nread 10000\ntcp '* ]] ||
		fail_with "bytes were lost"
}

@test "privilege: set-id programs and file capabilities: LD_PRELOAD does nothing" {
	local how

	make_program
	configure 'pin_group = nogroup'
	"$SOCKSHUNT" load
	for how in "chmod u+s" "chmod g+s" "setcap cap_net_raw+ep"; do
		# shellcheck disable=SC2086 # two words
		privileged $how
		refuses "the dynamic linker ignores LD_PRELOAD for it" \
			"$SOCKSHUNT" run "$PROGRAM"
		by_nobody "${SHIMMED[@]}" "$PROGRAM"
		was_plain
		is_quiet
	done
	assert_counter registered -eq 0
	# It is not for want of access.
	privileged true
	by_nobody "${SHIMMED[@]}" "$PROGRAM"
	was_redirected
	assert_counter redirected_bytes -eq 10000
}

# in_every_program [INI]: runs PROGRAM by nobody where /etc/ld.so.preload names the
# shim, which such a program then has as well, and /etc/sockshunt.ini is INI. The
# environment is the caller's: it names CONF, a log, and says that we do nothing.
in_every_program() {
	THEIR_LOG=$SANDBOX/log-$BATS_SUITE_TEST_NUMBER
	# shellcheck disable=SC2016 # its own shell expands it
	run --separate-stderr unshare --mount bash -ec '
		while umount /sys/fs/bpf 2>/dev/null; do :; done
		mkdir "$SANDBOX/etc"
		mount -t tmpfs none "$SANDBOX/etc"
		cp -a /etc/{passwd,group,nsswitch.conf,ld.so.cache} "$SANDBOX/etc/"
		[[ -z $2 ]] || cp "$2" "$SANDBOX/etc/sockshunt.ini"
		echo "$1" >"$SANDBOX/etc/ld.so.preload"
		mount --move "$SANDBOX/etc" /etc
		rmdir "$SANDBOX/etc"
		exec setpriv --reuid=65534 --regid=65534 --clear-groups \
			--inh-caps=-all env SOCKSHUNT_LOG=debug \
			SOCKSHUNT_LOG_FILE="$3" ${4+"$4"} "$0"' \
		"$PROGRAM" "$SHIM" "${1-}" "$THEIR_LOG" ${2+"$2"} \
		<<<$'send 5000\nread\ntcp'
	[[ $status -eq 0 && $output == $'ready\nsent\nread 10000\ntcp '* ]] ||
		fail_with "bytes were lost"
}

@test "privilege: set-id programs trust no environment, where the shim is in every program" {
	local line="nothing is loaded at /sys/fs/bpf/sockshunt" how

	make_program
	"$SOCKSHUNT" load
	cp "$CONF" "$SANDBOX/system.ini"
	for how in "chmod u+s" "setcap cap_net_raw,cap_dac_override+ep"; do
		# Both may open root's pins, which SOCKSHUNT_CONF names.
		# shellcheck disable=SC2086 # two words
		privileged $how
		in_every_program
		was_plain
		says "$line"
		[[ ! -e $THEIR_LOG ]]
		assert_counter registered -eq 0
	done
	# What the system's file says, holds; what its caller says, does not.
	in_every_program "$SANDBOX/system.ini" SOCKSHUNT_DISABLE=1
	was_redirected
	is_quiet
	assert_counter redirected_bytes -eq 10000
	# A program without privilege believes it, and may not open them.
	privileged true
	chmod 777 "$SANDBOX"
	in_every_program
	chmod 755 "$SANDBOX"
	was_plain
	grep -q "Permission denied (pin_group grants access)" "$THEIR_LOG"
}

@test "privilege: a set-id program loads nothing for its caller" {
	make_program
	privileged chmod u+s
	cp "$CONF" "$SANDBOX/system.ini"
	in_every_program "$SANDBOX/system.ini"
	was_plain
	says "nothing is loaded at $PINS"
	[[ ! -e $PINS ]]
	# By root it would have been.
	exchange "${SHIMMED[@]}"
	was_redirected
}

#
# Servers, each as it is run
#

# as_service USER COMMAND...: that user, its groups, and no more.
as_service() {
	setpriv --reuid="$1" --regid="$1" --init-groups "${HARDENED[@]}" "${@:2}"
}

# serve USER COMMAND...: as_service, accelerated.
serve() {
	start setpriv --reuid="$1" --regid="$1" --init-groups "${HARDENED[@]}" \
		"${SHIMMED[@]}" "${@:2}"
}

runs_as() { # PID USER
	[[ $(stat -c %U "/proc/$1") == "$2" ]]
}

@test "privilege: redis by its service user needs a pin_group and a load ahead" {
	publish
	configure 'pin_group = redis'
	"$SOCKSHUNT" load
	serve redis redis-server --port 7080 --save ''
	wait_for_port 7080
	runs_as "$SERVER" redis
	run -0 shimmed redis-benchmark -p 7080 -q -t get -n 1000
	assert_counter redirected_messages -ge 1800
	# Of another service, which is no member, it gets all, by TCP.
	local before
	before=$(counter redirected_messages)
	run -0 --separate-stderr as_service www-data "${SHIMMED[@]}" \
		redis-cli -p 7080 -r 50 incr visits
	[[ ${lines[49]} == 50 ]]
	says "Permission denied (pin_group grants access)"
	assert_counter redirected_messages -eq "$before"
}

@test "privilege: redis by its service user without one: one line, and plain TCP" {
	publish
	"$SOCKSHUNT" load
	serve redis redis-server --port 7081 --save ''
	wait_for_port 7081
	run -0 shimmed redis-cli -p 7081 -r 50 incr visits
	[[ ${lines[49]} == 50 ]]
	[[ $(grep -c 'sockshunt\[' "$LOG") -eq 1 ]]
	grep -q "Permission denied (pin_group grants access)" "$LOG"
	assert_counter redirected_messages -eq 0
	assert_counter tcp_no_peer -ge 50
}

@test "privilege: nginx: its master is root, its workers are www-data: nothing to do" {
	local dir=$BATS_TEST_TMPDIR/www worker i

	publish
	mkdir "$dir"
	chmod 755 "$BATS_TEST_TMPDIR" "$dir"
	head -c 100000 /dev/urandom >"$dir/file"
	cat >"$dir/nginx.conf" <<-END
		daemon off;
		user www-data;
		worker_processes 1;
		pid $dir/nginx.pid;
		error_log stderr;
		events { }
		http {
			access_log off;
			client_body_temp_path $dir/body;
			proxy_temp_path $dir/proxy;
			fastcgi_temp_path $dir/fastcgi;
			uwsgi_temp_path $dir/uwsgi;
			scgi_temp_path $dir/scgi;
			server { listen 127.0.0.1:7082; root $dir; }
		}
	END
	start shimmed nginx -c "$dir/nginx.conf"
	wait_for_port 7082
	for ((i = 0; i < 2; i++)); do # before a reload, and after it
		eventually pgrep -P "$SERVER" -u www-data
		worker=$(pgrep -n -P "$SERVER" -u www-data)
		runs_as "$worker" www-data
		shimmed curl -sS http://127.0.0.1:7082/file | cmp - "$dir/file"
		assert_counter redirected_messages -ge $((i + 1))
		assert_counter registered -eq $((2 * (i + 1)))
		kill -HUP "$SERVER"
		eventually ended "$worker"
		wait_for_port 7082
	done
	# What the workers use they have inherited: they may not open it.
	cp "$ROOT/tests/bin/hostile" "$BIN/"
	run -1 as_service www-data "$BIN/hostile" "$PINS" open
}

@test "privilege: PostgreSQL, which never runs as root" {
	local bin data=$SANDBOX/postgres-$BATS_SUITE_TEST_NUMBER

	bin=$(echo /usr/lib/postgresql/*/bin)
	publish
	configure 'pin_group = postgres'
	"$SOCKSHUNT" load
	install -d -o postgres -g postgres "$data"
	cd /
	run -1 "$bin/postgres" -D "$data"
	[[ $output == *"root"*"not permitted"* ]]
	as_service postgres "$bin/initdb" -D "$data" -A trust --no-sync \
		--locale C.UTF-8 >"$BATS_TEST_TMPDIR/initdb.log"
	serve postgres "$bin/postgres" -D "$data" -p 7083 \
		-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off
	eventually grep -q 'ready to accept connections' "$LOG"
	runs_as "$SERVER" postgres
	run -0 shimmed psql -h 127.0.0.1 -p 7083 -U postgres -qXAt \
		-c 'select sum(n) from generate_series(1, 100000) n'
	[[ $output == 5000050000 ]]
	assert_counter redirected_messages -ge 4
	kill -INT "$SERVER" # at once, and orderly: else its shared memory stays
	eventually ended "$SERVER"
	rm -rf "$data"
}

#
# What a member of pin_group can do to others. hostile is one, without privilege;
# its victims are root's.
#

# load_for_group [LINE...]: daemon's.
load_for_group() {
	publish
	cp "$ROOT/tests/bin/hostile" "$BIN/"
	configure 'pin_group = daemon' "$@"
	"$SOCKSHUNT" load
	HOSTILE=(as_user daemon "${HARDENED[@]}" "$BIN/hostile" "$PINS")
}

# does ANSWER COMMAND...: hostile does.
does() {
	run -0 "${HOSTILE[@]}" "${@:2}"
	[[ $output == "$1" ]] || fail_with "expected $1"
}

# keeps ANSWER COMMAND...: one that stays until gives_up; also by IN_NETNS.
keeps() {
	local fifo=$BATS_TEST_TMPDIR/fifo

	mkfifo "$fifo"
	HELD=$BATS_TEST_TMPDIR/held
	"${IN_NETNS[@]}" setpriv --reuid=65534 --regid=daemon --groups=daemon \
		"${HARDENED[@]}" "$BIN/hostile" "$PINS" "${@:2}" \
		<"$fifo" >"$HELD" 2>&1 3>&- &
	SERVERS+=($!)
	HOLDER=$!
	exec 7>"$fifo"
	rm "$fifo"
	eventually test -s "$HELD"
	[[ $(<"$HELD") == "$1" ]] || fail_with "expected $1" "$(<"$HELD")"
}
IN_NETNS=()

# gives_up: and no byte of anybody's has come to it.
gives_up() {
	exec 7>&-
	wait "$HOLDER"
	[[ $(tail -n 1 "$HELD") == "read 0" ]] || fail_with "$(<"$HELD")"
}

# meet: the victim, both ends of a connection, accelerated.
meet() {
	begin "${SHIMMED[@]}"
	ask "send 100" sent
	ask read "read 200"
	assert_counter redirected_messages -eq 2
}

@test "member: in the place of a peer it reads nothing; the bytes go by TCP" {
	load_for_group
	meet
	keeps "occupy 2" occupy merged 0
	ask "send 5000" sent
	ask read "read 10000"
	ask tcp "tcp 10000"
	assert_counter tcp_not_peer -ge 10
	assert_counter redirected_messages -eq 2
	assert_counter refused -eq 0
	gives_up
}

@test "member: in the place of a sender it reads nothing; no send fails" {
	load_for_group
	meet
	keeps "occupy 2" occupy sockhash 0
	ask "send 300000" sent # more than is redirected unread
	ask read "read 600000"
	assert_counter tcp_order -ge 1
	assert_counter refused -eq 0
	gives_up
}

@test "member: in one place, removed from the other: it is plain TCP, and goes on" {
	load_for_group
	meet
	keeps "occupy 2" occupy merged 0
	does "deleted 2" delete sockhash 0
	ask "send 5000" sent
	ask read "read 10000"
	ask tcp "tcp 10000"
	assert_counter redirected_messages -eq 2
	assert_counter refused -eq 0
	gives_up
}

@test "member: a forged peer on loopback of another namespace reads nothing" {
	ip netns add other
	ip -n other link set lo up
	load_for_group
	meet
	IN_NETNS=(ip netns exec other)
	keeps "forge 1" forge merged 0
	ask "send 5000" sent
	ask read "read 10000"
	assert_counter tcp_not_peer -ge 5
	gives_up
}

@test "member: a UDP socket with the peer's addresses and ports is not the peer" {
	load_for_group
	meet
	keeps "udp 2" udp merged 0
	ask "send 5000" sent
	ask read "read 10000"
	ask tcp "tcp 10000"
	assert_counter tcp_not_peer -ge 10
	assert_counter tcp_order -eq 0 # of a socket that has no such numbers
	gives_up
}

@test "member: one with the same addresses and ports reads and writes nothing" {
	local client order

	ip addr replace 10.9.9.9/32 dev lo
	ip netns add other
	ip -n other link set lo up
	ip -n other addr add 10.9.9.9/32 dev lo
	load_for_group
	start shimmed redis-server --bind 10.9.9.9 --port 7084 --save '' \
		--protected-mode no
	wait_for_port 7084
	shimmed redis-cli -h 10.9.9.9 -p 7084 -r 60 -i 0.05 incr n \
		>"$BATS_TEST_TMPDIR/answers" 3>&- &
	client=$!
	SERVERS+=("$client")
	eventually grep -q 10 "$BATS_TEST_TMPDIR/answers"
	assert_counter redirected_messages -ge 15
	order=$(counter tcp_order)
	IN_NETNS=(ip netns exec other)
	keeps "forge 1" forge merged 7084
	wait "$client"
	# It is their sequence numbers that tell it from the peer.
	assert_counter tcp_order -ge $((order + 20))
	assert_counter tcp_not_peer -eq 0
	seq 60 | cmp - "$BATS_TEST_TMPDIR/answers"
	gives_up
}

@test "member: changes no program: not what decides, nor what merges" {
	local map own_users=()

	load_for_group
	meet
	# As root of a user namespace of its own, too, where there may be one.
	! as_user daemon unshare --user --map-root-user true ||
		own_users=(unshare --user --map-root-user)
	for map in sockhash merged; do
		run -1 "${HOSTILE[@]}" attach "$map"
		[[ $output == "attach: "* ]]
		run -1 as_user daemon "${own_users[@]}" \
			"$BIN/hostile" "$PINS" attach "$map"
		[[ $output == "attach: "* ]]
	done
	ask "send 5000" sent
	ask read "read 10000"
	assert_counter redirected_messages -eq 12
	run -0 "$BIN/hostile" "$PINS" attach sockhash # root may load one
}

@test "member: removes entries: no byte is lost that was read, or came by TCP later" {
	load_for_group
	meet
	# Of one map, not even what is unread; the other keeps it.
	ask "send 5000" sent
	does "deleted 2" delete sockhash 0
	ask read "read 10000"
	ask "send 300000" sent
	ask read "read 600000"
	assert_counter refused -eq 0
	does "deleted 2" delete merged 0
	ask "send 5000" sent
	ask read "read 10000"
	[[ $(entries) -eq 0 ]]
	# Whoever comes next is accelerated.
	accelerates env
}

@test "member: removes entries: what was redirected and is unread is lost" {
	local line

	load_for_group
	meet
	ask "send 5000" sent
	does "deleted 2" delete merged 0
	does "deleted 2" delete sockhash 0
	ask "send 100" sent
	exec 6<&"${ENDS[0]}" # it ends then
	echo read >&"${ENDS[1]}"
	read -r -t 10 line <&6
	[[ $line == "wrong byte at 100" ]] || fail_with "$line" # a hole
}

@test "member: takes all entries: others stay on TCP until it ends" {
	load_for_group 'sockhash_max_entries = 8'
	keeps "filled 8" fill sockhash
	stays_on_tcp "the sockhash is full" env
	assert_counter unregistered_full -ge 2
	gives_up
	accelerates env
}

@test "member: freezes the maps: others stay on TCP until root loads anew" {
	load_for_group
	run "${HOSTILE[@]}" freeze sockhash
	if [[ $output == *"Operation not permitted" ]]; then
		accelerates env
		skip "optional: before 6.5 the kernel does not let it"
	fi
	[[ $output == frozen ]]
	exchange "${SHIMMED[@]}"
	was_plain
	assert_counter unregistered_other -ge 2
	does frozen freeze control
	exchange "${SHIMMED[@]}"
	was_plain
	says "cannot map the control map"
	"$SOCKSHUNT" unload
	"$SOCKSHUNT" load
	accelerates env
}

# ends_by_itself COMMAND...: whatever it says, no signal ends it, nor we.
ends_by_itself() {
	run timeout 20 "$@"
	[[ $status -le 1 ]] || fail_with "expected it to end: $*"
}

# all_live: the victim, a new program, and root's commands.
all_live() {
	ask "send 50000" sent
	ask read "read 100000"
	ask dial dialled
	exchange timeout 20 "${SHIMMED[@]}"
	ends_by_itself "$SOCKSHUNT" status
	ends_by_itself "$SOCKSHUNT" status --json
	ends_by_itself "$SOCKSHUNT" doctor
	ends_by_itself "$SOCKSHUNT" load
}

@test "member: writes the control map: no byte is wrong, nothing crashes" {
	local from value writer

	load_for_group 'busy_poll_usecs = 50'
	meet
	for from in flags ids; do
		"${HOSTILE[@]}" scribble "$from" random 1000 3>&- &
		writer=$!
		SERVERS+=("$writer")
		until ended "$writer"; do
			all_live
		done
		wait "$writer"
	done
	for from in flags ids magic; do
		for value in 0 255 127; do
			does scribbled scribble "$from" "$value"
			all_live
		done
	done
	# Root has what is not ours any more loaded anew.
	"$SOCKSHUNT" load
	accelerates env
}

@test "member: writes the control map: root's commands believe no text or path of it" {
	local evil=$BATS_TEST_TMPDIR/evil

	load_for_group 'register_user_space_sockets = false'
	mkdir "$evil"
	touch "$evil/cgroup.procs"
	does scribbled cgroup "$evil"
	ends_by_itself "$SOCKSHUNT" doctor
	[[ ! -s $evil/cgroup.procs ]] || fail_with "doctor wrote to it"
	# A text without an end is no longer than its place.
	does scribbled scribble flags 65
	run -0 "$SOCKSHUNT" load
	[[ $output == *"loaded with 'A"* ]]
	! grep -q 'A\{257\}' <<<"$output" || fail_with "it went on"
	run "$SOCKSHUNT" status
	! grep -q 'A\{257\}' <<<"$output" || fail_with "it went on"
}

# Where members are not to be trusted: the kernel registers, and nobody else may.
@test "privilege: in cgroup_path programs need no access at all" {
	publish
	make_cgroup privilege
	configure "cgroup_path = $CGROUP" 'register_user_space_sockets = false'
	"$SOCKSHUNT" load
	exchange in_cgroup setpriv --reuid=65534 --regid=65534 --clear-groups \
		"${HARDENED[@]}" "${SHIMMED[@]}"
	was_redirected
	says "Permission denied (pin_group grants access)"
	assert_counter redirected_bytes -eq 10000
}
