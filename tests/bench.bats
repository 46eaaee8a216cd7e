# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# The scripts in bench/: that they work. Their figures mean nothing here.
# shellcheck shell=bash disable=SC2154 # bats sets $status and $output

load helpers

cgroup_mount() {
	awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts
}

# kubecon OPTION...: a short run, on one CPU, which every machine has.
kubecon() {
	export BENCH_RESULTS=$BATS_TEST_TMPDIR/results
	run --separate-stderr "$ROOT/bench/kubecon.sh" -t 1 --same-cpu "$@"
	# shellcheck disable=SC2154 # set by run
	printf '%s\n' "$output" "$stderr"
}

# The table is there, in full, and the one side was accelerated.
assert_table() {
	local line='[0-9.]+ +[0-9.]+ +[+-][0-9.]+ % +[0-9.]+x'
	local what

	for what in average p50 p90 p99 p99.9; do
		grep -Eq "^$what +$line\$" <<<"$output"
	done
	grep -Eq '^redirected: without 0 messages, with [1-9][0-9]*$' \
		<<<"$output"
}

assert_kept() {
	local dir

	dir=$(echo "$BENCH_RESULTS"/kubecon-*)
	grep -q 'percentile 99.000' "$dir/without-1.txt"
	grep -q 'percentile 99.000' "$dir/with-1.txt"
	grep -q '^without: .* sockperf ping-pong --tcp' "$dir/commands.txt"
	grep -q '^with: .* sockperf ping-pong --tcp' "$dir/commands.txt"
	grep -q "^$(uname -s)" "$dir/commands.txt"
}

# The cgroup that the run says it made.
used_cgroup() {
	sed -n 's/^# .* in cgroup //p' "$BENCH_RESULTS"/kubecon-*/commands.txt
}

used_cgroup_is_gone() {
	[[ -n $(used_cgroup) && ! -e $(used_cgroup) ]]
}

@test "bench: kubecon.sh by cgroup prints its table and cleans up" {
	[[ -n $(cgroup_mount) ]] || skip "no cgroup v2 hierarchy is mounted"
	kubecon
	[[ $status -eq 0 ]]
	assert_table
	assert_kept
	used_cgroup_is_gone
	[[ -z $(ip netns list) ]]
}

@test "bench: kubecon.sh --shim prints its table and needs no cgroup" {
	kubecon --shim
	[[ $status -eq 0 ]]
	assert_table
	assert_kept
	[[ -z $(used_cgroup) && -z $(ip netns list) ]]
}

is_measuring() {
	[[ -e $(echo "$BENCH_RESULTS"/kubecon-*/without-1.txt) ]]
}

@test "bench: kubecon.sh that is stopped cleans up" {
	[[ -n $(cgroup_mount) ]] || skip "no cgroup v2 hierarchy is mounted"
	export BENCH_RESULTS=$BATS_TEST_TMPDIR/results
	# In a process group of its own, as a terminal would stop it.
	setsid "$ROOT/bench/kubecon.sh" -t 60 --same-cpu 3>&- &
	eventually is_measuring
	[[ -d $(used_cgroup) ]]
	# More than once, as somebody impatient would.
	for _ in {1..30}; do
		kill -TERM -- "-$!" 2>/dev/null || break
		sleep 0.01
	done
	eventually used_cgroup_is_gone
}

@test "bench: scripts refuse bad options with their usage" {
	local command

	for command in "kubecon.sh -t" "kubecon.sh -t 0" "kubecon.sh -t x" \
		"kubecon.sh -r 1.5" "kubecon.sh --cpus 0" "kubecon.sh --quick" \
		"kubecon.sh 5" "exec-cost.sh -n 0" "exec-cost.sh -x" \
		"exec-cost.sh 5"; do
		# shellcheck disable=SC2086 # words
		run --separate-stderr "$ROOT"/bench/$command
		echo "$command: $status"
		[[ $status -eq 2 && -z $output && $stderr == *usage:* ]]
	done
	run --separate-stderr "$ROOT/tools/demo.sh" --quick
	[[ $status -eq 2 && -z $output && $stderr == *usage:* ]]
}

@test "bench: scripts explain themselves with -h" {
	local script

	for script in bench/kubecon.sh bench/exec-cost.sh tools/demo.sh; do
		run --separate-stderr "$ROOT/$script" -h
		[[ $status -eq 0 && -z $stderr && $output == usage:* ]]
	done
}

@test "bench: exec-cost.sh prints both times and their ratio" {
	run --separate-stderr "$ROOT/bench/exec-cost.sh" -n 20 -r 2
	[[ $status -eq 0 ]]
	grep -Eq '^plain +[0-9.]+$' <<<"$output"
	grep -Eq '^preloaded +[0-9.]+ +[0-9.]+x$' <<<"$output"
}

@test "bench: spawn_loop fails if its program does" {
	run "$BIN/spawn_loop" 2 /bin/false
	[[ $status -eq 1 && $output == *failed* ]]
	run "$BIN/spawn_loop" 2 /nonexistent
	[[ $status -eq 1 && $output == *"No such file"* ]]
	run "$BIN/spawn_loop" 0 /bin/true
	[[ $status -eq 2 ]]
}
