# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Connect, 64 B each way, close: the time of a cycle, and so what registration
# costs (naive: everybody's way); the shim registers none of these.
# churn_PLACEMENT.
# shellcheck shell=bash

cell churn_same us lower "tcp shim cgroup naive unix" quick
! two_cpus || cell churn_two us lower "tcp shim cgroup naive unix"
cell_not_worth_it churn_same
cell_not_worth_it churn_two

churn_round() { # CELL SIDE SECONDS RAW
	placement "${1#churn_}"
	load_round "$2" "$4" mean churn -t "$3" "${PLACEMENT[@]}"
}
