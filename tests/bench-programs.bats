#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# The benchmark's groups of real programs: that a round measures what it says,
# and fails if its program does. Their figures mean nothing here.
# shellcheck shell=bash disable=SC2154 # bats sets $status and $stderr

load helpers

# measure SECONDS REGEX: a round of each side of the cells, into $RESULTS.
measure() {
	RESULTS=$BATS_TEST_TMPDIR/results
	rm -rf "$RESULTS"
	run --separate-stderr "$ROOT/bench/run" -r 1 -s "$1" -o "$RESULTS" "^$2\$"
	echo "$stderr"
}

@test "bench: a real program is measured on each side, with the CPU time of both ends" {
	local side metric

	measure 0.1 redis_get_c1
	[[ $status -eq 0 ]]
	for side in tcp shim naive unix; do
		for metric in value p50 p99 cpu; do
			grep -Eq "^redis_get_c1,$side,1,$metric,[0-9.]*[1-9]" \
				"$RESULTS/samples.csv"
		done
		grep -q '^"GET small","' "$RESULTS/raw/redis_get_c1.$side.1.txt"
	done
}

@test "bench: a round fails if its program reports errors, or fails, or says nothing" {
	export BENCH_CELLS=$BATS_TEST_TMPDIR/cells
	mkdir "$BENCH_CELLS"
	cat >"$BENCH_CELLS/t.bash" <<-'END'
		source "$ROOT/bench/web.bash"
		for name in t_there t_missing t_refused t_fails t_silent; do
			cell "$name" req/s higher tcp
		done
		t_start() {
			serve_nginx "$1" 17900
		}
		t_round() {
			case $1 in
			t_there) wrk_round tcp "$3" "$4" http://127.0.0.1:17900/1k ;;
			t_missing) wrk_round tcp "$3" "$4" http://127.0.0.1:17900/none ;;
			t_refused) wrk_round tcp "$3" "$4" http://127.0.0.1:17901/1k ;;
			t_fails) client tcp "$4" false ;;
			t_silent) client tcp "$4" true && says "$4" '^ready' ;;
			esac
		}
		t_stop() {
			stop_servers
			[[ -z $(pgrep nginx) ]] || die "nginx has left its workers"
		}
	END
	measure 0.3 't_.*'
	[[ $status -eq 1 ]]
	grep -Eq '^t_there,tcp,1,value,[1-9]' "$RESULTS/samples.csv"
	[[ $stderr == *"t_missing.tcp.1.txt: says "*"t_missing, side tcp, round 1: the round failed"* ]]
	[[ $stderr == *"t_refused, side tcp, round 1: the round failed"* ]]
	[[ $stderr == *"t_fails.tcp.1.txt: status 1"* ]]
	[[ $stderr == *"t_silent.tcp.1.txt: does not say '^ready'"* ]]
	[[ $stderr == *"4 sides of cells could not be measured"* ]]
}
