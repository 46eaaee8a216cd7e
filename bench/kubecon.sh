#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# kubecon.sh: the experiment of "Speedrun through splicing sockets with
# SOCKMAP" (KubeCon EU 2024): sockperf's TCP ping-pong between two network
# namespaces that a veth pair connects, without and with the bypass. As root,
# in a sandbox. See usage() below.
set -euo pipefail
# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=bench/cgroup.bash
source "$ROOT/bench/cgroup.bash"

SERVER_IP=10.0.0.1
CLIENT_IP=10.0.0.2
PORT_WITHOUT=11111
PORT_WITH=11112

DURATION=30
ROUNDS=1
SERVER_CPU=0
CLIENT_CPU=1
SHIM_ONLY=no

usage() {
	cat <<-END
		usage: kubecon.sh [-t SECONDS] [-r ROUNDS] [--cpus A,B | --same-cpu] [--shim]

		  -t SECONDS   of each run (30, as published)
		  -r ROUNDS    of a run without and a run with; medians are printed (1)
		  --cpus A,B   where server and client run, on both sides (0,1)
		  --same-cpu   the same as --cpus 0,0
		  --shim       no cgroup: both ends are started with 'sockshunt run'

		A quick one: -t 3 -r 5. Sockperf's own output and the command lines are
		kept in \$BENCH_RESULTS/kubecon-DATE (bench/results/kubecon-DATE).
	END
}

bad_usage() {
	echo "kubecon.sh: $1" >&2
	usage >&2
	exit 2
}

count_of() { # OPTION VALUE
	[[ $2 =~ ^[1-9][0-9]{0,4}$ ]] ||
		bad_usage "$1: '$2' is not a number from 1 to 99999"
}

parse() {
	local option

	while [[ $# -gt 0 ]]; do
		option=$1
		case $option in
		-t | -r | --cpus)
			[[ $# -ge 2 ]] || bad_usage "$option needs a value"
			shift
			;;&
		-t)
			count_of "$option" "$1"
			DURATION=$1
			;;
		-r)
			count_of "$option" "$1"
			ROUNDS=$1
			;;
		--cpus)
			[[ $1 =~ ^([0-9]+),([0-9]+)$ ]] ||
				bad_usage "--cpus: '$1' is not two CPU numbers"
			SERVER_CPU=${BASH_REMATCH[1]}
			CLIENT_CPU=${BASH_REMATCH[2]}
			;;
		--same-cpu)
			SERVER_CPU=0
			CLIENT_CPU=0
			;;
		--shim)
			SHIM_ONLY=yes
			;;
		-h | --help)
			usage
			exit 0
			;;
		*)
			bad_usage "no option '$option'"
			;;
		esac
		shift
	done
}

make_network() {
	ip netns add server
	ip netns add client
	ip link add veth0 netns server type veth peer name veth0 netns client
	ip -n server addr add "$SERVER_IP/24" dev veth0
	ip -n client addr add "$CLIENT_IP/24" dev veth0
	ip -n server link set veth0 up
	ip -n client link set veth0 up
}

clean_up() {
	stop_all
	remove_cgroups
}

load_bypass() {
	local attached

	if [[ $SHIM_ONLY == yes ]]; then
		load_bpf
		return
	fi
	make_cgroup kubecon ||
		die "cannot make a cgroup in a cgroup v2 hierarchy (--shim needs none)"
	load_bpf "cgroup_path = $CGROUP" 'register_user_space_sockets = false'
	attached=$("$SOCKSHUNT" status --json | jq -r .cgroup_path)
	[[ $attached == "$CGROUP" ]] || die "sock_ops is not attached to $CGROUP"
}

# Its own server on each side: the one without never meets what is loaded.
without() {
	plain "$@"
}

with() {
	if [[ $SHIM_ONLY == yes ]]; then
		accelerated "$@"
	else
		in_cgroup "$CGROUP" "$@"
	fi
}

# on HOW server|client CPU COMMAND...: sets COMMAND, for start and run.
on() {
	COMMAND=("$1" nsenter "--net=/run/netns/$2" taskset -c "$3" "${@:4}")
	echo "$1: ${COMMAND[*]:1}" >>"$RESULTS/commands.txt"
}

start_server() { # HOW PORT
	local log=$RESULTS/$1-server.txt

	on "$1" server "$SERVER_CPU" \
		sockperf server --tcp -i "$SERVER_IP" -p "$2"
	start "$log" "${COMMAND[@]}"
	eventually listens_on "$2" nsenter --net=/run/netns/server && return
	cat "$log" >&2
	die "sockperf server did not start"
}

run_client() { # HOW PORT ROUND
	local log=$RESULTS/$1-$3.txt

	on "$1" client "$CLIENT_CPU" timeout $((DURATION + 60)) \
		sockperf ping-pong --tcp -i "$SERVER_IP" -p "$2" -t "$DURATION"
	run "$log" "${COMMAND[@]}" || true
	check_sockperf "$log"
	progress .
}

measure() {
	local round

	progress "$ROUNDS x 2 runs of $DURATION s "
	start_server without "$PORT_WITHOUT"
	start_server with "$PORT_WITH"
	for ((round = 1; round <= ROUNDS; round++)); do
		run_client without "$PORT_WITHOUT" "$round"
		expect_redirected no "without the bypass"
		run_client with "$PORT_WITH" "$round"
		expect_redirected yes "with the bypass"
	done
	end_progress
}

row() { # NAME WHAT
	local without with

	without=$(sockperf_median "$2" "$RESULTS"/without-[0-9]*.txt)
	with=$(sockperf_median "$2" "$RESULTS"/with-[0-9]*.txt)
	awk -v name="$1" -v without="$without" -v with="$with" 'BEGIN {
		printf "%-10s %12.3f %12.3f %+9.1f %% %8.2fx\n", name, without,
			with, 100 * (with - without) / without, without / with
	}'
}

report() {
	local way="sock_ops on a cgroup"

	[[ $SHIM_ONLY == no ]] || way="sockshunt run"
	echo "sockperf TCP ping-pong across veth, one-way latency in us"
	echo "bypass by $way; CPUs $SERVER_CPU,$CLIENT_CPU;" \
		"$ROUNDS x $DURATION s, medians"
	echo
	printf '%-10s %12s %12s %11s %9s\n' "" without with change ratio
	row average average
	row p50 50
	row p90 90
	row p99 99
	row p99.9 99.9
	echo
	echo "redirected: without 0 messages, with $REDIRECTED"
	echo "published (other hardware): average 5.748 -> 4.686 (-18.5 %)," \
		"p99 7.509 -> 6.201"
}

make_results() {
	local base=${BENCH_RESULTS:-$ROOT/bench/results}

	RESULTS=$base/kubecon-$(date +%Y%m%d-%H%M%S)
	mkdir -p "$base"
	mkdir "$RESULTS"
}

describe() {
	uname -a
	"$SOCKSHUNT" --version
	cat "$SOCKSHUNT_CONF"
	if [[ $SHIM_ONLY == yes ]]; then
		echo "# without: as shown; with: by $SOCKSHUNT run --"
	else
		echo "# without: as shown; with: in cgroup $CGROUP"
	fi
}

if [[ ${1-} != --inside ]]; then
	parse "$@"
	exec "$ROOT/tools/sandbox.sh" "$ROOT/bench/kubecon.sh" --inside "$@"
fi
shift
parse "$@"

at_exit clean_up

need "$SOCKSHUNT" "$SHIM" sockperf jq ip ss nsenter taskset timeout
for cpu in "$SERVER_CPU" "$CLIENT_CPU"; do
	taskset -c "$cpu" true 2>/dev/null ||
		die "CPU $cpu cannot be used (--cpus, --same-cpu)"
done
make_results
make_network
load_bypass
describe >"$RESULTS/commands.txt"
measure
"$SOCKSHUNT" status >"$RESULTS/status.txt"
report | tee "$RESULTS/table.txt"
echo "raw output: $RESULTS" >&2
