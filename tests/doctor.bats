#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# sockshunt doctor: each way in which a connection is not accelerated is told,
# with what to do, and nothing else is; and nothing is left behind.

load helpers
load twoends

# pin_at DIRECTORY: instead of the test's own.
pin_at() {
	PINS=$1
	configure
}

# examine [PREFIX...]: runs it; the JSON is in JSON.
examine() {
	run --separate-stderr "$@" "$SOCKSHUNT" doctor --json
	JSON=$output
	jq -e '.checks | length > 0' <<<"$JSON" >/dev/null ||
		fail_with "expected JSON"
	# One thing said in three ways.
	[[ $(jq '.accelerates == (all(.checks[]; .state != "FAIL"))' <<<"$JSON") == true &&
		$(jq .accelerates <<<"$JSON") == "$([[ $status -eq 0 ]] && echo true || echo false)" &&
		-z $stderr ]] || fail_with "expected it to agree with itself"
}

# check STATE NAME [TEXT]: there is such a line.
check() {
	jq -e --arg state "$1" --arg name "$2" --arg text "${3-}" \
		'any(.checks[]; .state == $state and .name == $name and
		(.text | contains($text)))' <<<"$JSON" >/dev/null ||
		fail_with "expected: $*"
}

# advises NAME TEXT: so does the advice of that line.
advises() {
	jq -e --arg name "$1" --arg text "$2" 'any(.checks[]; .name == $name and
		(.advice | contains($text)))' <<<"$JSON" >/dev/null ||
		fail_with "expected advice for $*"
}

# fails_for [NAME...]: these lines are the ones that failed.
fails_for() {
	[[ $(jq -r '.checks[] | select(.state == "FAIL").name' <<<"$JSON" | xargs) == "$*" ]] ||
		fail_with "expected to fail: $*"
	[[ $status -eq $(($# > 0)) ]] || fail_with "expected another status"
}

# Every line that failed has its advice.
has_advice() {
	jq -e 'all(.checks[]; .state != "FAIL" or .advice != "")' \
		<<<"$JSON" >/dev/null || fail_with "expected advice"
}

nothing_is_left() {
	local left

	left=$(find "${PINS%/*}" -mindepth 1 -name "${PINS##*/}*")
	[[ -z $left ]] || fail_with "left: $left"
	[[ $(pgrep -fc 'doctor-echo|sockshunt-loader' || true) -eq 0 ]] ||
		fail_with "left: $(pgrep -fa 'doctor-echo|sockshunt-loader')"
}

NOBODY=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all
	--bounding-set=-all)

@test "doctor: healthy: every line is ok, both families are redirected" {
	"$SOCKSHUNT" load
	examine
	fails_for
	check ok configuration "$CONF"
	check ok kernel "$(uname -r)"
	check ok privileges CAP_NET_ADMIN
	check ok bpffs "${PINS%/*}"
	check ok pins "$PINS: version "
	check ok pins "uid 0 only (mode 0700)"
	check ok sockhash "0 of 65536 entries used"
	check ok shim "$SHIM"
	check ok loader "${SHIM%/*}/sockshunt-loader"
	check ok echo "64 messages arrived, 0 of "
	check ok echo "redirected_messages +64"
	check ok "echo, IPv6" "redirected_messages +64"
	check ok "other users"
	# It was our own traffic that was counted.
	assert_counter redirected_messages -eq 128
	[ "$(entries)" -eq 0 ]
}

# finding NAME: ok, if status says true, else note.
finding() {
	"$SOCKSHUNT" status --json |
		jq -r "if .self_test.$1 then \"ok\" else \"note\" end"
}

@test "doctor: the self-test's results are those of status" {
	"$SOCKSHUNT" load
	examine
	check "$(finding merged_queue)" "one queue"
	check ok self-test "took "
	check ok order kept
	check ok room kept
	check ok wake-ups kept
	check ok "end of file" kept
	check "$(finding counts_redirected)" FIONREAD redirected
	check "$(finding counts_tcp)" FIONREAD "on TCP"
}

@test "doctor: what a custom object breaks is told" {
	configure "bpf_program_path = $BIN/naive.bpf.o"
	"$SOCKSHUNT" load
	examine
	check note order "broken: messages overtake"
	check note room "broken: "
	check ok wake-ups kept
}

@test "doctor: text says the same as JSON" {
	"$SOCKSHUNT" load
	run --separate-stderr "$SOCKSHUNT" doctor
	[[ $status -eq 0 && -z $stderr ]]
	[[ ${lines[-1]} == "A connection would be accelerated now." ]]
	[ "$(grep -c '^ok  *echo' <<<"$output")" -eq 2 ]
	break_it
	run --separate-stderr "$SOCKSHUNT" doctor
	[[ $status -eq 1 && -z $stderr ]]
	[[ ${lines[-1]} == "A connection would stay on TCP now." ]]
	[[ $output == *$'\nFAIL  configuration'*$'\n                      -> '* ]]
}

break_it() {
	configure 'log_level = loud'
}

@test "doctor: nothing is loaded: it tries, says so, and leaves nothing" {
	examine
	fails_for
	check note pins "nothing is loaded at $PINS; the first program would"
	check ok "one queue"
	check ok echo "redirected_messages +64"
	nothing_is_left
}

@test "doctor: half a load is as none" {
	"$SOCKSHUNT" load
	rm "$PINS/sockhash"
	examine
	fails_for
	check note pins "the first program would"
	[ -e "$PINS/control" ]
}

@test "doctor: interrupted, or killed: nothing is left" {
	local signal status=0

	for signal in INT TERM KILL; do
		start "$SOCKSHUNT" doctor
		until [[ -n $(compgen -G "$PINS-doctor-*") ]]; do
			[[ -e /proc/${SERVERS[-1]} ]] || fail_with "$(<"$LOG")"
		done
		kill -"$signal" "${SERVERS[-1]}"
		wait "${SERVERS[-1]}" || status=$?
		[ "$status" -eq $((128 + $(kill -l "$signal"))) ]
		[[ $signal == KILL ]] || eventually nothing_is_left
	done
	# The last one could not; the next one does.
	[[ -n $(compgen -G "$PINS-doctor-*") ]]
	examine
	nothing_is_left
}

@test "doctor: no privilege, and nothing loaded" {
	publish
	examine "${NOBODY[@]}"
	fails_for privileges bpffs pins
	check FAIL privileges "no CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON"
	advises privileges pin_group
	has_advice
	nothing_is_left
}

@test "doctor: no privilege: a member of pin_group needs none, others are told" {
	publish
	configure 'pin_group = daemon'
	"$SOCKSHUNT" load
	examine setpriv --reuid=65534 --regid=daemon --clear-groups \
		--inh-caps=-all --bounding-set=-all
	fails_for
	check ok privileges "nor needed"
	check ok pins "group daemon (mode 0710)"
	check ok echo "redirected_messages +64"
	check note "other users" "cannot list"

	examine "${NOBODY[@]}"
	fails_for pins
	check FAIL pins "Permission denied"
	advises pins pin_group
}

@test "doctor: a mistake in the configuration is told with its line" {
	break_it
	examine
	fails_for configuration
	check FAIL configuration "$CONF:3: log_level: "
	has_advice
	run --separate-stderr "$SOCKSHUNT" doctor --json -c /nonexistent.ini
	[ "$status" -eq 1 ]
	jq -e '.checks[-1].text | contains("/nonexistent.ini: ")' <<<"$output"
	nothing_is_left
}

@test "doctor: a configuration or an environment that registers nothing" {
	configure 'register_user_space_sockets = false'
	examine
	check FAIL configuration "nothing registers"
	advises configuration register_user_space_sockets
	configure
	examine env SOCKSHUNT_DISABLE=1
	check FAIL environment SOCKSHUNT_DISABLE=1
	check FAIL echo "148688 of 148688 bytes by TCP"
	nothing_is_left
}

@test "doctor: notable values are named, ports do not hinder the echo" {
	configure 'accelerated_ports = 6379, 8000-8010' 'pin_group = daemon' \
		'sockhash_max_entries = 100'
	start redis-server --save '' # all of them are in use
	wait_for_port 6379
	examine
	fails_for
	check ok configuration "only ports 6379 8000-8010"
	check ok configuration "sockhash_max_entries 100"
	check ok echo "redirected_messages +64"
}

@test "doctor: pin_path is not on a BPF file system" {
	pin_at "$BATS_TEST_TMPDIR/ordinary"
	examine
	fails_for bpffs pins
	check FAIL bpffs "not on a BPF file system"
	advises bpffs "mount -t bpf"
	nothing_is_left
	mkdir "$PINS" # of the user's
	examine
	fails_for bpffs pins
	[ -d "$PINS" ]
}

@test "doctor: no bpffs in the usual place: a load would mount it, doctor does not" {
	# shellcheck disable=SC2016 # its own shell expands it
	local gone='while umount /sys/fs/bpf 2>/dev/null; do :; done
		"$@"; status=$?
		! grep " /sys/fs/bpf bpf " /proc/mounts >&2 || exit 3
		exit $status'

	pin_at /sys/fs/bpf/sockshunt-none
	examine unshare -m sh -c "$gone" sh
	fails_for
	check note bpffs "none at /sys/fs/bpf"
	check ok echo "redirected_messages +64"
	publish
	examine unshare -m sh -c "$gone" sh "${NOBODY[@]}"
	check FAIL bpffs "none at /sys/fs/bpf"
	advises bpffs "mount -t bpf -o mode=0755 bpf /sys/fs/bpf"
}

@test "doctor: a read-only bpffs, with and without pins" {
	local dir=$BATS_TEST_TMPDIR/readonly

	mkdir "$dir"
	mount -t bpf bpf "$dir"
	MOUNTED+=("$dir")
	pin_at "$dir/pins"
	mount -o remount,ro "$dir"
	examine
	fails_for bpffs pins
	check FAIL bpffs read-only
	advises bpffs remount,rw

	mount -o remount,rw "$dir"
	"$SOCKSHUNT" load
	mount -o remount,ro "$dir"
	examine
	fails_for bpffs pins
	advises pins remount,rw
	mount -o remount,rw "$dir"
	examine
	fails_for
}

@test "doctor: a full map, and one that is nearly full" {
	configure 'sockhash_max_entries = 20'
	begin "${SHIMMED[@]}"
	examine
	fails_for
	check ok sockhash "2 of 20 entries"
	for _ in {1..8}; do # the client's end stays in it
		echo dial >&"${ENDS[1]}"
		read -r -t 10 _ <&"${ENDS[0]}"
	done
	[ "$(entries)" -eq 18 ]
	examine
	fails_for
	check note sockhash "nearly full"
	advises sockhash sockhash_max_entries
	echo dial >&"${ENDS[1]}"
	read -r -t 10 _ <&"${ENDS[0]}"
	examine
	fails_for sockhash echo "echo, IPv6"
	check FAIL sockhash "20 of 20 entries used: full"
	check FAIL echo "unregistered_full +2"
	has_advice
}

@test "doctor: pins of another ABI" {
	"$SOCKSHUNT" load
	"$BIN/set_abi" "$PINS/control" 99
	examine
	fails_for pins
	check FAIL pins "loaded with ABI 99"
	advises pins "'sockshunt unload' and 'sockshunt load'"
}

@test "doctor: somebody else's sockmap is named, with who has it" {
	"$SOCKSHUNT" load
	start "$BIN/sockmap_user"
	eventually grep -q ready "$LOG"
	examine
	fails_for
	check note "other users" "sk_msg program 'their_msg' (id "
	check note "other users" "sockmap 'their_map' (id "
	check note "other users" "held by process ${SERVERS[-1]} (sockmap_user)"
	advises "other users" EBUSY
	kill "${SERVERS[-1]}"
	wait "${SERVERS[-1]}" || true
	examine
	check ok "other users"
}

@test "doctor: cgroup_path: attached, lost, none, and not of cgroup v2" {
	make_cgroup doctor
	configure "cgroup_path = $CGROUP"
	"$SOCKSHUNT" load
	examine in_cgroup
	fails_for
	check ok cgroup_path "our sock_ops program is attached"
	check ok "own cgroup" sockshunt_socko
	rm "$PINS/sockops_link"
	examine
	fails_for
	check note cgroup_path "not attached"
	advises cgroup_path "'sockshunt unload'"
	# Only the kernel would register.
	configure "cgroup_path = $CGROUP" 'register_user_space_sockets = false'
	examine
	check FAIL cgroup_path "not attached"
	configure 'cgroup_path = /nonexistent/cgroup'
	examine
	check note cgroup_path "No such file"
	configure "cgroup_path = $BATS_TEST_TMPDIR"
	examine
	check note cgroup_path "not a directory of cgroup v2"
}

@test "doctor: the echo is in cgroup_path where the shim registers nothing" {
	make_cgroup doctor
	configure "cgroup_path = $CGROUP" \
		'register_user_space_sockets = false' \
		'accelerated_ports = 7000-7010'
	"$SOCKSHUNT" load
	examine
	fails_for
	check ok echo "redirected_messages +64"
	[ -z "$(<"$CGROUP/cgroup.procs")" ]
}

@test "doctor: cgroup v1 only" {
	# shellcheck disable=SC2016 # its own shell expands it
	examine unshare -m sh -c 'awk "\$3 == \"cgroup2\" { print \$2 }" \
		/proc/self/mounts | xargs -r umount -l; exec "$@"' sh
	fails_for
	check note "cgroup v2" "not mounted"
}

@test "doctor: cgroup v1 only, and a cgroup_path" {
	mkdir "$BATS_TEST_TMPDIR/v1"
	configure "cgroup_path = $BATS_TEST_TMPDIR/v1" \
		"register_user_space_sockets = false"
	# shellcheck disable=SC2016 # its own shell expands it
	examine unshare -m sh -c 'awk "\$3 == \"cgroup2\" { print \$2 }" \
		/proc/self/mounts | xargs -r umount -l; exec "$@"' sh
	check FAIL "cgroup v2" "not mounted"
	advises "cgroup v2" "mount -t cgroup2"
}

@test "doctor: a kernel without BTF" {
	examine hidden
	check FAIL BTF "No such file"
	advises BTF CONFIG_DEBUG_INFO_BTF
	check FAIL pins "there is no /sys/kernel/btf/vmlinux"
	# What has been loaded can be used there.
	"$SOCKSHUNT" load
	examine hidden
	fails_for
	check note BTF "No such file"
}

@test "doctor: seccomp filters that refuse bpf(2), or kill for it" {
	"$SOCKSHUNT" load
	examine "$BIN/no_bpf" eperm
	check FAIL "bpf(2)" "not permitted to this process, with a seccomp filter"
	advises "bpf(2)" seccomp
	examine "$BIN/no_bpf" kill
	fails_for "bpf(2)"
	check FAIL "bpf(2)" "kills the process (signal 31"
	advises "bpf(2)" "stay on TCP"
}

@test "doctor: a shim or a loader that is missing" {
	publish
	rm "${SHIM%/*}/sockshunt-loader"
	"$SOCKSHUNT" load
	examine
	fails_for
	check note loader "No such file"
	"$SOCKSHUNT" unload
	examine
	fails_for pins loader
	check FAIL pins "cannot run "
	advises loader "make install"
	rm "$SHIM"
	examine
	check FAIL shim
}

@test "doctor: whatever the control map holds, lines are lines, JSON is JSON" {
	local escape=$'\e'

	"$SOCKSHUNT" load
	"$BIN/set_abi" "$PINS/control" "$(awk '$2 == "SS_ABI" { print $3 }' \
		"$ROOT/bpf/abi.h")" $'\e[31m"\\\xff\n'
	for name in status doctor; do
		run --separate-stderr "$SOCKSHUNT" "$name"
		[[ $output == *'\x1b[31m"\\xff\x0a'* && $output != *"$escape"* ]] ||
			fail_with "expected it escaped"
		run --separate-stderr "$SOCKSHUNT" "$name" --json
		python3 -c 'import json, sys; json.loads(sys.stdin.buffer.read().decode())' \
			<<<"$output" || fail_with "expected JSON"
		jq -e . <<<"$output" >/dev/null
		[[ $output == *'\u001b[31m\"\\\ufffd\u000a'* ]] ||
			fail_with "expected it escaped"
	done
}
