#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Loading, pinning and unloading: what is refused, what a killed loader leaves
# behind. Who may: privilege.bats. twoends tells redirected bytes from TCP's by
# itself, from TCP_INFO, so acceleration is seen even where our counters are not.

load helpers
load twoends

# status_of FILTER: what jq finds in the status.
status_of() {
	"$SOCKSHUNT" status --json | jq -r "$1"
}

is_state() {
	[[ $(status_of .state) == "$1" ]] ||
		fail_with "expected the state $1" "$("$SOCKSHUNT" status)"
}

# pins: their names, in one line.
pins() {
	find "$PINS" -mindepth 1 -printf '%f\n' | sort | xargs
}

has_pins() {
	[[ $(pins) == "$1" ]] || fail_with "expected the pins '$1', not '$(pins)'"
}

# All pins and nothing else, and status agrees.
is_complete() {
	has_pins "control counters merged owners sockhash" && is_state loaded
}

nothing_is_left() {
	[[ ! -e $PINS ]] || fail_with "left: $PINS $(pins)"
}

# pin_at DIRECTORY [LINE...]: instead of the test's own.
pin_at() {
	PINS=$1
	configure "${@:2}"
}

# mount_bpffs NAME: a BPF file system of the test's own; its path in OWN_BPFFS.
mount_bpffs() {
	OWN_BPFFS=$BATS_TEST_TMPDIR/$1
	mkdir "$OWN_BPFFS"
	mount -t bpf bpf "$OWN_BPFFS"
	MOUNTED+=("$OWN_BPFFS")
}

#
# load and status
#

@test "load: pins everything and says nothing" {
	succeeds "$SOCKSHUNT" load
	[ -z "$output" ]
	is_complete
	[ "$(stat -c %a "$PINS" "$PINS"/* | xargs)" = "700 600 600 600 600 600" ]
}

@test "status: says what was loaded, by whom, and what the self-test found" {
	local before now pid

	before=$(date +%s)
	start "$SOCKSHUNT" load
	pid=${SERVERS[0]}
	wait "$pid"
	now=$(date +%s)
	succeeds "$SOCKSHUNT" status --json
	jq -e --arg pins "$PINS" --argjson pid "$pid" \
		--argjson before "$before" --argjson now "$now" '
		.state == "loaded" and .pin_path == $pins and .abi >= 1 and
		.loader_pid == $pid and .loader_uid == 0 and
		.loader_version == .version and
		.loaded_at >= $before and .loaded_at <= $now and
		.sockhash_id > 0 and .entries == 0 and
		.max_entries == 65536 and .draining == false and
		.custom_object == false and .cgroup_path == "" and
		.self_test.usecs > 0 and
		(.self_test.merged_queue == (.self_test.not_merged_because == "")) and
		([.self_test | .keeps_order, .keeps_room, .keeps_wakeups,
			.keeps_end] | all)
	' <<<"$output"
	# The self-test's own traffic is not counted as the user's.
	jq -e '[.counters[]] | length > 10 and add == 0' <<<"$output"

	succeeds "$SOCKSHUNT" status
	[[ $output == *"pins"*"$PINS"* ]]
	[[ $output == *"loaded"*"by pid $pid (uid 0), 20"* ]]
	[[ $output == *"object"*"built in"* ]]
	[[ $output == *"cgroup"*"not attached"* ]]
	[[ $output == *"sockhash"*"0 of 65536 entries used"* ]]
	[[ $output == *"self-test"*"took "*" us"* ]]
	[[ $output == *"one queue"* && $output == *"receiver pays"* ]]
	[[ $output == *"FIONREAD"*"redirected bytes"*"FIONREAD"*"bytes on TCP"* ]]
	for name in $(status_of '.counters | keys[]'); do
		[ "$(grep -c " 0  $name " <<<"$output")" -eq 1 ]
	done
}

@test "status: exit status 1 and the reason if nothing is loaded" {
	run --separate-stderr "$SOCKSHUNT" status
	[ "$status" -eq 1 ]
	[[ $output == *"not loaded"*"nothing is loaded at $PINS"* ]]
	run --separate-stderr "$SOCKSHUNT" status --json
	[ "$status" -eq 1 ]
	jq -e '.state == "not loaded" and (.reason | contains("nothing"))' \
		<<<"$output"
}

@test "load: a second one changes nothing" {
	local identity='"\(.sockhash_id) \(.loaded_at) \(.loader_pid)"' first

	succeeds "$SOCKSHUNT" load
	first=$(status_of "$identity")
	succeeds "$SOCKSHUNT" load
	[ "$(status_of "$identity")" = "$first" ]
	# Nor with another configuration, but that is told.
	configure 'sockhash_max_entries = 10'
	run --separate-stderr "$SOCKSHUNT" load
	[ "$status" -eq 0 ]
	says "sockhash_max_entries: 65536 are loaded, not 10"
	[ "$(status_of "$identity")" = "$first" ]
	[ "$(status_of .max_entries)" -eq 65536 ]
	is_complete
}

@test "load: of ten at once all succeed, and there is one map" {
	local pid

	for _ in {1..10}; do
		start "$SOCKSHUNT" load
	done
	for pid in "${SERVERS[@]}"; do
		wait "$pid"
	done
	[ -z "$(cat "$BATS_TEST_TMPDIR"/server*.log)" ]
	is_complete
	[[ " ${SERVERS[*]} " == *" $(status_of .loader_pid) "* ]]
}

@test "load: ten preloaded programs that start at once meet in one map" {
	local i orders=$BATS_TEST_TMPDIR/orders

	printf 'send 1000\nread\ntcp\n' >"$orders"
	for i in {1..10}; do
		# shellcheck disable=SC2016 # its own shell expands it
		start sh -c 'exec "$@" <"$0"' "$orders" "${SHIMMED[@]}" \
			"$BIN/twoends"
	done
	for i in {0..9}; do
		wait "${SERVERS[i]}"
		[ "$(xargs <"$BATS_TEST_TMPDIR/server$i.log")" = \
			"ready sent read 2000 tcp 0" ]
	done
	is_complete
	assert_counter registered -eq 20
}

@test "load: the usual place is mounted on first use" {
	while umount /sys/fs/bpf 2>/dev/null; do :; done # ours: the sandbox's
	pin_at /sys/fs/bpf/sockshunt
	succeeds "$SOCKSHUNT" load
	MOUNTED+=(/sys/fs/bpf)
	[ "$(stat -f -c %T /sys/fs/bpf)" = bpf_fs ]
	is_complete
	succeeds "$SOCKSHUNT" unload
	nothing_is_left
}

#
# Loaders that do not finish
#

# The group may use what the next loader has pinned or found complete.
group_has_access() {
	local access

	access=$(cd "$PINS" && stat -c '%G %a' control counters merged owners sockhash | sort -u)
	[[ $access == "daemon 660" ]] || fail_with "$(ls -lA "$PINS")"
}

# next_one_loads: whatever a killed loader has left, the next one is not
# blocked by it, and ends with everything in place.
next_one_loads() {
	succeeds timeout 5 "$SOCKSHUNT" load &&
		has_pins "control counters merged owners sockhash sockops_link" &&
		is_state loaded &&
		group_has_access &&
		succeeds "$SOCKSHUNT" unload &&
		nothing_is_left
}

@test "load: a loader killed at any moment does not hinder the next one" {
	local n calls pinning killed=0 log=$BATS_TEST_TMPDIR/calls

	own_cgroup killed 'pin_group = daemon'
	succeeds "$BIN/kill_at" 0 "$log" "$SOCKSHUNT" load
	succeeds "$SOCKSHUNT" unload
	calls=$(wc -l <"$log")
	pinning=$(grep -n chown "$log" | head -n 1 | cut -d: -f1)
	[[ $calls -gt $((pinning + 10)) && $pinning -gt 20 ]]

	# Before it pins anything one moment is much like another.
	for ((n = 1; n <= calls; n += n < pinning - 3 ? 4 : 1)); do
		run --separate-stderr timeout 5 "$BIN/kill_at" "$n" "$log" \
			"$SOCKSHUNT" load
		[[ $status -eq 137 ]] || fail_with "not killed at call $n"
		((++killed))
		[[ $n -ge $pinning ]] || continue
		next_one_loads ||
			fail_with "killed at call $n: $(tail -n 2 "$log" | xargs)"
	done
	next_one_loads
	[ "$killed" -ge 25 ]

	# Nor is a program of theirs left on the cgroup.
	succeeds "$SOCKSHUNT" load
	exchange "${IN_CGROUP[@]}"
	was_redirected
	assert_counter registered -eq 2
	assert_counter unregistered_busy -eq 0
}

@test "load: half a load is removed by the next one" {
	local names first

	for names in control 'control counters' 'control sockhash' sockhash; do
		succeeds "$SOCKSHUNT" load
		first=$(status_of .sockhash_id)
		(cd "$PINS" && eval "rm $names")
		run --separate-stderr "$SOCKSHUNT" status
		[[ $status -eq 1 && $output != *"by pid"* ]] ||
			fail_with "without $names"
		succeeds "$SOCKSHUNT" load
		is_complete
		[ "$(status_of .sockhash_id)" -ne "$first" ]
		exchange "${SHIMMED[@]}"
		was_redirected
		is_quiet
		succeeds "$SOCKSHUNT" unload
	done
}

@test "load: a preloaded program, too, removes half a load" {
	succeeds "$SOCKSHUNT" load
	rm "$PINS/control"
	exchange "${SHIMMED[@]}"
	was_redirected
	is_quiet
	is_complete
}

is_locked() {
	! flock --nonblock "$PINS" true
}

# It tries again after each of its naps of 10 ms.
naps_before_lock() {
	[[ $(awk '$1 == "voluntary_ctxt_switches:" { print $2 }' \
		"/proc/$1/status") -gt 5 ]] &&
		readlink "/proc/$1"/fd/* | grep -qx "$PINS"
}

# Pids in the caller's holder and loader.
load_behind_a_lock() {
	mkdir "$PINS"
	start flock --no-fork "$PINS" sleep 100
	holder=${SERVERS[0]}
	eventually is_locked
	start "$SOCKSHUNT" load
	loader=${SERVERS[1]}
	eventually naps_before_lock "$loader"
}

@test "load: waits for another loader, and not for one that was killed" {
	local holder loader

	load_behind_a_lock
	has_pins ""
	kill -9 "$holder"
	wait "$loader"
	[ -z "$(cat "$LOG")" ]
	is_complete
}

@test "load: one that has waited for an unload loads afterwards" {
	local holder loader

	load_behind_a_lock
	rmdir "$PINS" # the last that unload does before it lets go
	kill -9 "$holder"
	wait "$loader" || fail_with "$(cat "$LOG")"
	[ -z "$(cat "$LOG")" ]
	is_complete
}

#
# Another version's pins
#

@test "another ABI: refused with the commands that help, and they do" {
	local line="loaded with ABI 99, this is ABI"
	local help="run 'sockshunt unload' and 'sockshunt load'"

	succeeds "$SOCKSHUNT" load
	"$BIN/set_abi" "$PINS/control" 99
	refuses "$line" "$SOCKSHUNT" load
	says "$help"
	run --separate-stderr "$SOCKSHUNT" status
	[[ $status -eq 1 && $output == *"other ABI"*"$line"*"$help"* ]]

	exchange "${SHIMMED[@]}"
	was_plain
	says "$line"
	says "$help"

	succeeds "$SOCKSHUNT" unload
	nothing_is_left
	succeeds "$SOCKSHUNT" load
	is_complete
	exchange "${SHIMMED[@]}"
	was_redirected
	is_quiet
}

#
# bpf_program_path
#

@test "custom object: our own is accepted" {
	configure "bpf_program_path = $ROOT/bpf/sockshunt.bpf.o"
	succeeds "$SOCKSHUNT" load
	is_complete
	[ "$(status_of .custom_object)" = true ]
	succeeds "$SOCKSHUNT" status
	[[ $output == *"object"*"custom (bpf_program_path)"* ]]
	exchange "${SHIMMED[@]}"
	was_redirected
	is_quiet
	assert_counter redirected_bytes -eq 10000
}

@test "custom object: one map and one program are enough" {
	configure "bpf_program_path = $BIN/custom-MINIMAL.bpf.o" \
		'sockhash_max_entries = 1000'
	succeeds "$SOCKSHUNT" load
	has_pins "control counters sockhash"
	is_state loaded
	[ "$(status_of .custom_object)" = true ]
	[ "$(status_of .max_entries)" -eq 1000 ]
	exchange "${SHIMMED[@]}"
	was_redirected
	is_quiet
	assert_counter registered -eq 2
}

# refuses_object FILE WHAT: FILE is refused in one line that names it.
refuses_object() {
	configure "bpf_program_path = $1"
	refuses "$1" "$SOCKSHUNT" load
	says "bpf_program_path: $2"
	# shellcheck disable=SC2154 # run sets it
	[[ $stderr != *"Unknown error"* ]] || fail_with "expected the reason"
	is_state "not loaded"
	has_pins ""
}

@test "custom object: a file that is missing, or no object, is refused" {
	local dir=$BATS_TEST_TMPDIR

	refuses_object "$dir/none.o" "cannot open"
	says "No such file"
	echo "no object" >"$dir/text.o"
	refuses_object "$dir/text.o" "cannot open"
	: >"$dir/empty.o"
	refuses_object "$dir/empty.o" "cannot open"
	mkdir "$dir/directory.o"
	refuses_object "$dir/directory.o" "cannot open"
	cp "$(type -P true)" "$dir/program.o" # an ELF, but not for BPF
	refuses_object "$dir/program.o" "cannot open"
}

@test "custom object: wrong names, types and sizes are refused" {
	local mistake what

	while IFS='|' read -r mistake what; do
		refuses_object "$BIN/custom-${mistake% }.bpf.o" "${what# }"
	done <<-'END'
		NO_PROGRAM | no program 'sockshunt_verdict'
		NO_MAP | no map 'sockhash'
		PROGRAM_TYPE | program 'sockshunt_verdict'
		MAP_TYPE | map 'sockhash'
		KEY_SIZE | map 'sockhash'
		VALUE_SIZE | map 'sockhash'
	END
	refuses_object "$BIN/custom-PROGRAM_TYPE.bpf.o" program
	says "is of type sk_skb; needed: sk_msg"
	refuses_object "$BIN/custom-KEY_SIZE.bpf.o" map
	says "key 44"
	says "key 48"
	refuses_object "$BIN/custom-VALUE_SIZE.bpf.o" map
	says "value 4"
	says "value 8"
}

@test "custom object: one that the kernel rejects is refused, for that reason" {
	configure "bpf_program_path = $BIN/custom-REJECTED.bpf.o"
	refuses "cannot load $BIN/custom-REJECTED.bpf.o" "$SOCKSHUNT" load
	is_state "not loaded"
	# We are root: to become root is no advice.
	[[ $stderr != *"needs root"* ]] || fail_with "expected another reason"
}

@test "custom object: a refused one leaves a program on plain TCP" {
	configure "bpf_program_path = $BIN/custom-KEY_SIZE.bpf.o"
	exchange "${SHIMMED[@]}"
	was_plain
	says "map 'sockhash'"
	is_state "not loaded"
}

#
# The self-test
#

# broken: what the self-test has found not to hold, in one line.
broken() {
	status_of '.self_test | to_entries |
		map(select((.key | startswith("keeps_")) and .value == false).key) |
		join(" ")'
}

@test "self-test: takes less than 50 ms" {
	local usecs best=1000000

	for _ in {1..10}; do
		succeeds "$SOCKSHUNT" load
		usecs=$(status_of .self_test.usecs)
		succeeds "$SOCKSHUNT" unload
		[[ $usecs -ge $best ]] || best=$usecs
		[[ $best -ge 50000 ]] || break
	done
	[[ $best -gt 0 && $best -lt 50000 ]] || fail_with "took $best us"
}

@test "self-test: finds out each promise that an object breaks, in one line" {
	local object what reason

	while IFS='|' read -r object what reason; do
		configure "bpf_program_path = $BIN/$object.bpf.o"
		run --separate-stderr "$SOCKSHUNT" load
		[[ $status -eq 0 ]] || fail_with "$object: expected a warning"
		says "warn: bpf_program_path: the self-test failed: $reason"
		is_state loaded
		[[ $(broken) == "$what" ]] || fail_with "$object: $(broken)"
		run --separate-stderr "$SOCKSHUNT" status
		[[ $(grep -c broken: <<<"$output") -eq $(wc -w <<<"$what") ]] ||
			fail_with "$object: expected $what"
		succeeds "$SOCKSHUNT" unload
	done <<-'END'
		naive|keeps_order keeps_room|order: messages overtook
		broken-order|keeps_order keeps_room|order: messages overtook
		broken-bytes|keeps_room|room: 8 messages
		broken-messages|keeps_room|room: 262 messages, 262 bytes
		broken-recv|keeps_wakeups|wake-ups: a reader asleep in recv(2)
		broken-poll|keeps_wakeups|wake-ups: a reader asleep in poll(2)
		broken-epoll|keeps_wakeups|wake-ups: a reader asleep in epoll_wait(2)
		broken-end|keeps_end|end: redirected bytes before it were lost
	END
}

@test "self-test: without the merged queue nothing is broken" {
	configure "bpf_program_path = $BIN/unmerged.bpf.o"
	succeeds "$SOCKSHUNT" load
	[ -z "$(broken)" ]
	[ "$(status_of .self_test.merged_queue)" = false ]
}

@test "self-test: FIONREAD is trusted only if what it says adds up" {
	configure "bpf_program_path = $BIN/broken-counts.bpf.o" \
		'log_level = info'
	run --separate-stderr "$SOCKSHUNT" load
	[ "$status" -eq 0 ]
	[ -z "$(broken)" ]
	jq -e '.self_test | (.counts_redirected or .counts_tcp) | not' \
		<<<"$("$SOCKSHUNT" status --json)"
	[[ $stderr == *"self-test: FIONREAD is not trusted: "* ]] ||
		fail_with "expected the reason"
}

@test "self-test: if our own object fails it, all stays on TCP, with one line" {
	local dir=$BATS_TEST_TMPDIR
	local line="the self-test failed: order: messages overtook"

	cp "$SHIM" "$dir"
	cp "$BIN/sockshunt-loader-naive" "$dir/sockshunt-loader"
	refuses "error: $line" "$dir/sockshunt-loader" -c "$CONF"
	says "; connections stay on TCP on this kernel"
	is_state "not loaded"
	has_pins ""
	exchange env "LD_PRELOAD=$dir/${SHIM##*/}"
	was_plain
	says "$line"
}

@test "self-test: where there is no loopback it is not run, and that is told" {
	configure 'log_level = info'
	run --separate-stderr unshare --net "$SOCKSHUNT" load
	[ "$status" -eq 0 ]
	says "info: self-test not run: no connection over loopback"
	is_state loaded
	[ "$(status_of .self_test.usecs)" -eq 0 ]
	[ "$(status_of .self_test.merged_queue)" = false ]
	[ "$(status_of .self_test.charges_receiver)" = false ]
	run --separate-stderr "$SOCKSHUNT" status
	[[ $output == *"self-test"*"not run"* && $output != *broken:* ]]
	[ "$(grep -c "not tested" <<<"$output")" -eq 6 ]
	exchange "${SHIMMED[@]}"
	was_redirected
}

#
# Where nothing can be pinned
#

@test "no bpffs: load fails with what to do, and leaves nothing" {
	pin_at "$BATS_TEST_TMPDIR/ordinary"
	refuses "$PINS is not on a BPF file system (mount -t bpf" \
		"$SOCKSHUNT" load
	nothing_is_left
}

@test "no bpffs: neither load nor unload removes what is not ours" {
	pin_at "$BATS_TEST_TMPDIR/ordinary"
	mkdir "$PINS"
	refuses "is not on a BPF file system" "$SOCKSHUNT" load
	[[ -d $PINS ]] || fail_with "load has removed a directory of the user's"
	touch "$PINS/control" "$PINS/mine"
	run --separate-stderr "$SOCKSHUNT" unload
	[[ -e $PINS/control && -e $PINS/mine ]] ||
		fail_with "unload has removed a file of the user's"
}

@test "no bpffs: a process and its children are accelerated, with one warning" {
	pin_at "$BATS_TEST_TMPDIR/ordinary"
	exchange "${SHIMMED[@]}"
	was_redirected
	says "only connections inside this process and its children"
	says "warn: "
	says "mount -t bpf"
	nothing_is_left

	begin "${SHIMMED[@]}"
	ask 'child 3000' 'tcp 0'
	[ "$(grep -c . "$ERRORS")" -eq 1 ]
}

@test "no bpffs: pin_path's parent is missing, or no directory" {
	local dir what

	touch "$BATS_TEST_TMPDIR/file"
	while IFS='|' read -r dir what; do
		pin_at "$dir"
		refuses "cannot create pin_path $dir: $what" "$SOCKSHUNT" load
		exchange "${SHIMMED[@]}"
		was_redirected
		says "cannot create pin_path $dir: $what"
	done <<-END
		$SANDBOX/bpf/none/pins|No such file
		$BATS_TEST_TMPDIR/file/pins|Not a directory
	END
}

@test "read-only bpffs: nothing can be pinned there" {
	mount_bpffs readonly
	pin_at "$OWN_BPFFS/pins"
	mount -o remount,ro "$OWN_BPFFS"
	refuses "Read-only file system" "$SOCKSHUNT" load
	exchange "${SHIMMED[@]}"
	was_redirected
	says "Read-only file system"
	says "only connections inside this process and its children"
}

@test "read-only bpffs: what is pinned there cannot be used, or unloaded" {
	mount_bpffs readonly
	pin_at "$OWN_BPFFS/pins"
	succeeds "$SOCKSHUNT" load
	mount -o remount,ro "$OWN_BPFFS"
	exchange "${SHIMMED[@]}"
	says "Read-only file system"
	refuses "Read-only file system" "$SOCKSHUNT" unload
	mount -o remount,rw "$OWN_BPFFS"
	is_complete
	exchange "${SHIMMED[@]}"
	was_redirected
	is_quiet
}

#
# sockhash_max_entries, cgroup_path
#

@test "sockhash_max_entries: is the map's size; beyond it is TCP, with one line" {
	configure 'sockhash_max_entries = 2'
	succeeds "$SOCKSHUNT" load
	[ "$(status_of .max_entries)" -eq 2 ]
	begin "${SHIMMED[@]}"
	[ "$(entries)" -eq 2 ]
	ask dial dialled
	ask dial dialled
	[ "$(entries)" -eq 2 ]
	assert_counter registered -eq 2
	assert_counter unregistered_full -eq 4
	[ "$(grep -c 'the sockhash is full' "$ERRORS")" -eq 1 ]
	[ "$(grep -c . "$ERRORS")" -eq 1 ]
	ask 'send 3000' sent
	ask read 'read 6000'
	ask tcp 'tcp 0'
}

@test "cgroup_path: one that does not exist is a warning, and all else works" {
	configure 'cgroup_path = /nonexistent/cgroup'
	run --separate-stderr "$SOCKSHUNT" load
	[ "$status" -eq 0 ]
	says "cgroup_path: cannot attach to /nonexistent/cgroup: No such file"
	is_complete
	[ -z "$(status_of .cgroup_path)" ]
	exchange "${SHIMMED[@]}"
	was_redirected
	is_quiet
}

@test "cgroup_path: a directory that is no cgroup is a warning" {
	configure "cgroup_path = $BATS_TEST_TMPDIR"
	run --separate-stderr "$SOCKSHUNT" load
	[ "$status" -eq 0 ]
	says "cgroup_path: cannot attach to $BATS_TEST_TMPDIR"
	is_complete
}

@test "cgroup_path: programs in it are accelerated until unload detaches it" {
	own_cgroup attach
	exchange "${IN_CGROUP[@]}"
	was_plain

	succeeds "$SOCKSHUNT" load
	[ "$(status_of .cgroup_path)" = "$CGROUP" ]
	succeeds "$SOCKSHUNT" status
	[[ $output == *"cgroup"*"$CGROUP"* ]]
	exchange "${IN_CGROUP[@]}"
	was_redirected
	assert_counter registered -eq 2
	exchange # outside
	was_plain
	assert_counter registered -eq 2

	# Maps and programs live on in this one's sockets: being detached is the
	# only reason not to be registered.
	begin "${IN_CGROUP[@]}"
	succeeds "$SOCKSHUNT" unload --force
	nothing_is_left
	exchange "${IN_CGROUP[@]}"
	was_plain
}

@test "cgroup_path: unload also detaches what half a load has attached" {
	own_cgroup half
	succeeds "$SOCKSHUNT" load
	rm "$PINS/control"
	succeeds "$SOCKSHUNT" unload
	nothing_is_left
	exchange "${IN_CGROUP[@]}"
	was_plain
}

#
# unload
#

@test "unload: with nothing loaded there is nothing to do" {
	succeeds "$SOCKSHUNT" unload
	succeeds "$SOCKSHUNT" unload --force
	pin_at "$SANDBOX/bpf/none/pins"
	succeeds "$SOCKSHUNT" unload
}

@test "unload: removes everything, and load starts anew" {
	local first

	succeeds "$SOCKSHUNT" load
	first=$(status_of .sockhash_id)
	exchange "${SHIMMED[@]}"
	succeeds "$SOCKSHUNT" unload
	nothing_is_left
	is_state "not loaded"
	succeeds "$SOCKSHUNT" load
	[ "$(status_of .sockhash_id)" -ne "$first" ]
	[ "$(status_of '[.counters[]] | add')" -eq 0 ]
}

@test "unload: refused while a connection lives, which goes on" {
	begin "${SHIMMED[@]}"
	ask 'send 3000' sent
	refuses "2 sockets are still in the sockhash" "$SOCKSHUNT" unload
	says "--force"
	is_complete
	[ "$(status_of .draining)" = false ]
	ask read 'read 6000'
	ask 'send 3000' sent
	ask read 'read 6000'
	ask tcp 'tcp 0'
	# New ones are still registered.
	ask dial dialled
	[ "$(entries)" -eq 4 ]
}

# loses_no_byte PREFIX...: unloads under a program with unread bytes, first
# redirected ones, then those for which there is no room but on TCP.
loses_no_byte() {
	local rmem

	rmem=$(sysctl -n net.ipv4.tcp_rmem)
	begin "$@"
	ask 'send 10000' sent
	ask tcp 'tcp 0'
	sysctl -qw net.ipv4.tcp_rmem='4096 131072 131072' # for less room
	ask 'send 50000' sent
	sysctl -qw net.ipv4.tcp_rmem="$rmem"
	assert_counter tcp_room -gt 0
	succeeds "$SOCKSHUNT" unload --force
	nothing_is_left
	# The kernel frees maps and programs after a grace period or two.
	sleep 0.3
	ask read 'read 120000'
	ask 'send 10000' sent
	ask read 'read 20000'
	[ -z "$(cat "$ERRORS")" ]
}

@test "unload --force: no byte is lost in a preloaded program" {
	succeeds "$SOCKSHUNT" load
	loses_no_byte "${SHIMMED[@]}"
}

@test "unload --force: no byte is lost in a program of the cgroup" {
	own_cgroup force
	succeeds "$SOCKSHUNT" load
	loses_no_byte "${IN_CGROUP[@]}"
}

@test "unload --force, then load: old connections go on, new programs meet" {
	succeeds "$SOCKSHUNT" load
	loses_no_byte "${SHIMMED[@]}"
	succeeds "$SOCKSHUNT" load
	is_complete
	ask 'send 4000' sent
	exchange "${SHIMMED[@]}"
	was_redirected
	is_quiet
	ask read 'read 8000'
	ask dial dialled
	# The old program is not of the new map.
	assert_counter registered -eq 2
	[ "$(entries)" -eq 0 ]
}
