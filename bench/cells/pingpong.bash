# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Ping-pong: the time of a round trip. pingpong_SIZE_PLACEMENT.
# shellcheck shell=bash

cell pingpong_1_same us lower "tcp shim cgroup naive unix"
cell pingpong_64_same us lower "tcp shim cgroup naive unix spin" quick
! two_cpus || cell pingpong_64_two us lower \
	"tcp shim cgroup naive unix spin spin_unix" quick
cell pingpong_64_unpinned us lower "tcp shim cgroup naive unix spin"
cell pingpong_1024_same us lower "tcp shim cgroup naive unix"
cell pingpong_16384_same us lower "tcp shim cgroup naive unix"
cell pingpong_65536_same us lower "tcp shim cgroup naive unix"
# Readers that never block: the polling reader.
! two_cpus || cell pingpong_64_two_nonblocking us lower \
	"tcp shim cgroup naive unix"

pingpong_round() { # CELL SIDE SECONDS RAW
	local size where how

	IFS=_ read -r _ size where how <<<"$1"
	placement "$where"
	load_round "$2" "$4" mean pingpong -t "$3" -s "$size" \
		-H "${4%.txt}.hist" ${how:+-n} "${PLACEMENT[@]}"
}
