# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# What the groups of cells share that use tests/bin/load; to be sourced.
# shellcheck shell=bash disable=SC2034 # for who sources it

LOAD=$ROOT/tests/bin/load

# The CPUs that we may use: SAME for both ends, TWO for one each.
allowed_cpus() {
	local range

	for range in $(sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status |
		tr , ' '); do
		seq "${range%-*}" "${range#*-}"
	done
}

mapfile -t CPUS < <(allowed_cpus)

# placement same|two|unpinned: the option of load, in PLACEMENT.
placement() {
	case $1 in
	same) PLACEMENT=(-p "${CPUS[0]},${CPUS[0]}") ;;
	two) PLACEMENT=(-p "${CPUS[0]},${CPUS[1]}") ;;
	unpinned) PLACEMENT=() ;;
	esac
}

# Cells that need one CPU for each end: not everywhere.
two_cpus() {
	[[ ${#CPUS[@]} -ge 2 ]]
}

# load_round SIDE RAW METRIC ARGUMENT...: one run of load on that side, of whose
# metrics METRIC is the cell's value.
load_round() {
	local on=("$1") raw=$2 metric=$3

	case $1 in
	unix) on+=("$LOAD" "${@:4}" -a "$SANDBOX/load.sock") ;;
	spin_unix) on+=("$LOAD" "${@:4}" -a "$SANDBOX/load.sock" -u "$SPIN_USECS") ;;
	*) on+=("$LOAD" "${@:4}") ;;
	esac
	if ! (side "${on[@]}") >"$raw" 2>&1; then
		cat "$raw" >&2
		die "load ${*:4} failed"
	fi
	awk -v metric="$metric" '{ print } $1 == metric { print "value", $2 }' \
		"$raw"
}
