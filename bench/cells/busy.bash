# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Four busy connections and a server in epoll, on one CPU: alone, beside many
# that are idle, and beside one whose bytes nobody reads.
# shellcheck shell=bash

cell busy_alone messages/s higher "tcp shim cgroup naive unix"
cell busy_idle messages/s higher "tcp shim cgroup naive unix" quick
# Not the naive one: without a limit, the unread bytes take all memory.
cell busy_stalled messages/s higher "tcp shim cgroup unix" quick

busy_round() { # CELL SIDE SECONDS RAW
	local beside=()

	case $1 in
	busy_idle) beside=(-i 1000) ;;
	busy_stalled) beside=(-S 1) ;;
	esac
	placement same
	load_round "$2" "$4" rate busy -t "$3" -c 4 "${beside[@]}" \
		"${PLACEMENT[@]}"
}
