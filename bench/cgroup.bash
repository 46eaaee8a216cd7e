# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# A cgroup of the script's own, to be sourced. It is not in the sandbox, whose
# namespaces end by themselves, but the host's: it must be removed.
# shellcheck shell=bash

CGROUP= # its directory, while there is one

make_cgroup() { # NAME; fails if there is no cgroup v2 to make it in
	local mount

	mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
	[[ -n $mount ]] || return 1
	CGROUP=$(mktemp -d "$mount/sockshunt-$1-XXXXXX" 2>/dev/null)
}

# in_cgroup COMMAND...: in its place, and in CGROUP.
in_cgroup() {
	echo "$BASHPID" >"$CGROUP/cgroup.procs"
	exec "$@"
}

# All in there were started by us; 0 is one that our PID namespace cannot see.
end_cgroup_processes() {
	local pid

	while read -r pid; do
		[[ $pid -eq 0 ]] || kill -9 "$pid" 2>/dev/null || true
	done <"$CGROUP/cgroup.procs"
}

remove_cgroup() {
	[[ -n $CGROUP ]] || return 0
	end_cgroup_processes
	# One that was killed takes a moment to leave.
	eventually rmdir "$CGROUP" || echo "cannot remove $CGROUP" >&2
	CGROUP=
}
