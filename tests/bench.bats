# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# The scripts in bench/: that they work. Their figures mean nothing here.
# shellcheck shell=bash disable=SC2154,SC2030,SC2031 # bats sets $status and $output

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

# samples CELL SIDE VALUE...: of one round each, into the results in $RESULTS.
samples() {
	local round=0 value

	for value in "${@:3}"; do
		echo "$1,$2,$((++round)),value,$value"
	done >>"$RESULTS/samples.csv"
}

# timings CELL WALL...: of work that needs 100 us of CPU time.
timings() {
	local round=0 wall

	for wall in "${@:2}"; do
		round=$((round + 1))
		echo "$1,machine,$round,calibration,$wall"
		echo "$1,machine,$round,calibration_cpu,100"
	done >>"$RESULTS/samples.csv"
}

# Results made by hand: of `wait` less is better, of `rate` more.
own_results() {
	RESULTS=$BATS_TEST_TMPDIR/results
	mkdir "$RESULTS"
	printf '%s\n' cell,unit,better,sides "wait,us,lower,tcp shim" \
		"rate,/s,higher,tcp shim" >"$RESULTS/cells.csv"
	echo cell,side,round,metric,value >"$RESULTS/samples.csv"
	samples wait tcp 10 20 30
	samples wait shim 5 18 9
	samples rate tcp 64 64 64 64
	samples rate shim 128 136 144 256
}

# verdicts LINE...: of these figures.
verdicts() {
	printf '%s\n' "$@" >"$RESULTS/figures.txt"
	"$ROOT/bench/report" "$RESULTS" "$RESULTS/figures.txt" >/dev/null
	jq -r '.figures[] | "\(.text): \(.verdict) \(.value)"' \
		"$RESULTS/results.json"
}

json() { # EXPRESSION
	jq -c "$1" "$RESULTS/results.json"
}

@test "bench: report takes medians, and ratios within rounds" {
	own_results
	run --separate-stderr "$ROOT/bench/report" "$RESULTS"
	[[ $status -eq 0 && $output == "$(<"$RESULTS/table.txt")" ]]
	[[ $(json .cells.wait.sides.tcp.median) == 20* ]]
	# Of the medians it would be 0.45.
	[[ $(json .cells.wait.sides.shim.ratio.median) == 0.5 ]]
	[[ $(json .cells.rate.sides.shim.ratio.median) == 2.1875 ]]
	[[ $(json '.cells.rate.sides.shim | [.q1, .q3]') == '[134,172]' ]]
	[[ $(json '.cells.rate.sides.tcp | [.rounds, .spread]') == '[4,0]' ]]
	grep -Eq '^wait +less +us +20.0 +50% +~0.50x$' <<<"$output"
	grep -q '^wait,shim,us,lower,3,9,7,13.5,0.5,' "$RESULTS/results.csv"
}

@test "bench: report says of each figure whether it is met" {
	own_results
	run verdicts 'rate shim tcp >= 1.9 a' 'rate shim tcp >= 2.05 b' \
		'rate shim tcp >= 4.5 c' 'rate shim unix >= 1 d' 'none shim tcp <= 1 e' \
		'wait shim tcp <= 0.9 f' 'wait shim - <= 4 g' '* shim tcp >= 1.05 h' \
		'rate shim tcp >= 2.15 i'
	echo "$output"
	[[ ${lines[0]} == 'a: met 2.1875' ]]
	[[ ${lines[1]} == 'b: met 2.1875' ]]      # one round is not, but is near
	[[ ${lines[2]} == 'c: NOT MET 2.1875' ]]
	[[ ${lines[3]} == 'd: not measured null' ]]
	[[ ${lines[4]} == 'e: not measured null' ]]
	[[ ${lines[5]} == 'f: met 0.5' ]]
	[[ ${lines[6]} == 'g: NOT MET 9' ]]
	[[ ${lines[7]} == 'h: met 2' ]] # the worst of both: wait is twice as fast
	[[ ${lines[8]} == 'i: too noisy 2.1875' ]]
	run verdicts '* shim tcp >= 2.1 every'
	[[ $output == 'every: too noisy 2' ]]
	grep -q 'every (>= 2.1): 0 of 2 cells; too noisy: wait 2.00, rate 2.19' "$RESULTS/table.txt"
}

@test "bench: report does not judge by two rounds" {
	own_results
	sed -i '/,3,value\|,4,value/d' "$RESULTS/samples.csv"
	run verdicts 'rate shim tcp >= 1.5 a'
	[[ $output == 'a: too noisy 2.0625' ]]
}

@test "bench: report recognises a noisy machine" {
	own_results
	timings wait 101 102 103 104
	run verdicts 'rate shim tcp >= 2.05 a' 'rate shim tcp >= 1.9 b'
	[[ $(json .noise.known) == false ]]
	timings rate 105 106 107 114 150 # one of nine is late
	run verdicts 'rate shim tcp >= 2.05 a' 'rate shim tcp >= 1.9 b'
	[[ ${lines[0]} == 'a: met 2.1875' && $(json .noise.too_noisy) == false ]]
	timings rate 130 200
	run verdicts 'rate shim tcp >= 2.05 a' 'rate shim tcp >= 1.9 b'
	[[ $(json .noise.too_noisy) == true ]]
	grep -q '^MACHINE TOO NOISY TO JUDGE: 27 % of 11 ' "$RESULTS/table.txt"
	[[ ${lines[0]} == 'a: too noisy 2.1875' ]]
	[[ ${lines[1]} == 'b: too noisy 2.1875' ]] # four agree; and if five do:
	printf '%s\n' rate,tcp,5,value,64 rate,shim,5,value,140 \
		>>"$RESULTS/samples.csv"
	run verdicts 'rate shim tcp >= 2.05 a' 'rate shim tcp >= 1.9 b'
	[[ ${lines[0]} == 'a: too noisy 2.1875' && ${lines[1]} == 'b: met 2.1875' ]]
}

@test "bench: run and report refuse what is wrong in one line" {
	local arguments

	for arguments in "-r" "-r 0" "-r x" "-s 0" "-s 0.0" "-s -1" "-s" "-o" \
		"-x" "pingpong rate" "no_such_cell"; do
		# shellcheck disable=SC2086 # words
		run --separate-stderr "$ROOT/bench/run" $arguments
		echo "$arguments: $status, $stderr"
		[[ $status -eq 2 && -z $output ]]
		[[ $stderr == "bench/run: "* && $stderr != *$'\n'* ]]
	done
	run --separate-stderr "$ROOT/bench/report"
	[[ $status -eq 2 && $stderr == usage:* ]]
	run --separate-stderr "$ROOT/bench/report" /nonexistent
	[[ $status -eq 1 && $stderr == "bench/report: "* && $stderr != *$'\n'* ]]
	own_results
	echo wait,tcp,1,value >>"$RESULTS/samples.csv"
	run --separate-stderr "$ROOT/bench/report" "$RESULTS"
	[[ $status -eq 1 && $stderr == *"samples.csv:16: not 5 fields" ]]
	run --separate-stderr "$ROOT/bench/run" -o "$RESULTS"
	[[ $status -eq 2 && $stderr == *"results in"* ]]
}

# measure REGEX: a round of each of its sides, into $RESULTS.
measure() {
	RESULTS=$BATS_TEST_TMPDIR/results
	run --separate-stderr "$ROOT/bench/run" -r 1 -s 0.05 -o "$RESULTS" "^$1\$"
	printf '%s\n' "$output" "$stderr"
}

# The cgroup that the run made is gone; there is none without cgroup v2.
its_cgroup_is_gone() {
	local conf=$BATS_TEST_TMPDIR/results/raw/cgroup.ini

	[[ -n $(cgroup_mount) ]] || return 0
	grep -q '^cgroup_path = /' "$conf" &&
		[[ ! -e $(sed -n 's/^cgroup_path = //p' "$conf") ]]
}

@test "bench: run measures a cell on its sides and leaves only results" {
	local side

	measure pingpong_1_same
	[[ $status -eq 0 && $output == "$(<"$RESULTS/table.txt")" ]]
	for side in tcp shim naive unix; do
		grep -Eq "^pingpong_1_same,$side,1,value,[1-9]" "$RESULTS/samples.csv"
		grep -Eq '^p99 [0-9.]+$' "$RESULTS/raw/pingpong_1_same.$side.1.txt"
	done
	grep -Eq '^pingpong_1_same,shim,1,redirected,[1-9]' "$RESULTS/samples.csv"
	run ! grep -Eq ',(tcp|unix),1,redirected,' "$RESULTS/samples.csv"
	grep -q "^kernel  *$(uname -s)" "$RESULTS/machine.txt"
	[[ $(json '.cells.pingpong_1_same.sides.shim.rounds') == 1 ]]
	its_cgroup_is_gone
	[[ -z $(ip netns list) ]]
}

@test "bench: run fails where a side is not what its name says" {
	export BENCH_CELLS=$BATS_TEST_TMPDIR/cells
	mkdir "$BENCH_CELLS"
	cat >"$BENCH_CELLS/t.bash" <<-'END'
		cell t_plain us lower "tcp shim"
		cell t_silent us lower "tcp"
		cell t_fails us lower "tcp"
		t_start() { :; }
		t_round() { # all on side tcp
			[[ $1 != t_fails ]] || return 1
			[[ $1 != t_silent ]] || return 0
			load_round tcp "$4" mean pingpong -t "$3"
		}
	END
	measure 't_.*'
	[[ $status -eq 1 ]]
	[[ $stderr == *"t_plain, side shim, round 1: nothing was redirected"* ]]
	[[ $stderr != *"t_plain, side tcp"* ]]
	[[ $stderr == *"t_silent, side tcp, round 1: the round printed no figure"* ]]
	[[ $stderr == *"t_fails, side tcp, round 1: the round failed"* ]]
	rm -r "$RESULTS"
	# And a plain side that is accelerated.
	sed -i 's/load_round tcp/load_round shim/' "$BENCH_CELLS/t.bash"
	measure t_plain
	[[ $status -eq 1 && $stderr == *"side tcp, round 1: messages were redirected on side shim"* ]]
}

@test "bench: report draws what there are samples for" {
	command -v gnuplot >/dev/null || skip "optional: gnuplot is not installed"
	own_results
	printf '%s\n' 'pingpong_64_same,us,lower,tcp shim' \
		'stream_64_two,sends/s,higher,tcp' \
		'stream_1024_two,MiB/s,higher,tcp' >>"$RESULTS/cells.csv"
	samples pingpong_64_same tcp 5
	samples stream_64_two tcp 100
	samples stream_1024_two tcp 200
	printf '%s\n' stream_64_two,tcp,1,mib,7 stream_1024_two,tcp,1,mib,9 \
		>>"$RESULTS/samples.csv"
	mkdir "$RESULTS/raw"
	printf '%s\n' '4000 3' '6000 1' >"$RESULTS/raw/pingpong_64_same.tcp.1.hist"
	run "$ROOT/bench/report" "$RESULTS"
	[[ $status -eq 0 ]]
	grep -q '^4 75$' "$RESULTS/plots/latency_same.gnuplot"
	grep -q '^64 7$' "$RESULTS/plots/throughput.gnuplot"
	[[ $(file -b "$RESULTS/plots/throughput.png") == PNG* ]]
	[[ $(file -b "$RESULTS/plots/latency_same.svg") == SVG* ]]
	[[ ! -e $RESULTS/plots/latency_two.svg ]]
}

has_samples() {
	grep -q ',value,' "$BATS_TEST_TMPDIR/results/samples.csv"
}

@test "bench: run that is stopped cleans up" {
	[[ -n $(cgroup_mount) ]] || skip "no cgroup v2 hierarchy is mounted"
	setsid "$ROOT/bench/run" -s 0.2 -o "$BATS_TEST_TMPDIR/results" \
		'^pingpong_1_same$' 2>/dev/null 3>&- &
	eventually has_samples
	run ! its_cgroup_is_gone
	kill -TERM -- "-$!"
	eventually its_cgroup_is_gone
}

@test "bench: load prints the figures of each workload, by TCP and AF_UNIX" {
	local workload address metric

	for workload in "pingpong -s 16384 -u 50" "stream -s 65536 -c 10" \
		"stream -s 16384 -b" "churn -s 16384" "busy -s 4096 -c 2 -i 20 -S 1"; do
		for address in 127.0.0.1:0 "$BATS_TEST_TMPDIR/socket"; do
			# shellcheck disable=SC2086 # words
			run "$BIN/load" $workload -t 0.02 -a "$address"
			echo "$workload, $address: $output"
			[[ $status -eq 0 ]]
			for metric in rate mib cpu; do
				grep -Eq "^$metric [0-9]*[.0-9]*[1-9]" <<<"$output"
			done
			[[ $workload == stream* ]] || awk '
				{ value[$1] = $2 }
				END {
					exit !(value["p50"] > 0 &&
						value["p50"] <= value["p99"] &&
						value["p99"] <= value["p99.9"])
				}' <<<"$output"
		done
	done
	run "$BIN/load" pingpong -t 0.02 -H "$BATS_TEST_TMPDIR/hist"
	[[ $status -eq 0 ]]
	awk '{ n += $2 } END { exit !(NR && n) }' "$BATS_TEST_TMPDIR/hist"
	run "$BIN/load" pingpong -e client -t 0.02 -a 127.0.0.1:1
	[[ $status -eq 1 && $output == *"Connection refused"* ]]
	for workload in "" "nosuch" "pingpong -t 0" "pingpong -e x" "churn -x" \
		"stream extra" "pingpong -a here"; do
		# shellcheck disable=SC2086 # words
		run "$BIN/load" $workload
		[[ $status -eq 2 ]]
	done
}
