# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Cgroups of the script's own, to be sourced. They are not in the sandbox, whose
# namespaces end by themselves, but the host's: they must be removed.
# shellcheck shell=bash

CGROUPS=() # their directories
CGROUP=    # that of the last one

make_cgroup() { # NAME; fails if there is no cgroup v2 to make it in
	local mount

	mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
	[[ -n $mount ]] || return 1
	CGROUP=$(mktemp -d "$mount/sockshunt-$1-XXXXXX" 2>/dev/null) || return 1
	CGROUPS+=("$CGROUP")
}

# in_cgroup DIRECTORY COMMAND...: in its place; in no other cgroup if that is empty.
in_cgroup() {
	[[ -z $1 ]] || echo "$BASHPID" >"$1/cgroup.procs"
	exec "${@:2}"
}

# All in there were started by us; 0 is one that our PID namespace cannot see.
end_cgroup_processes() { # DIRECTORY
	local pid

	while read -r pid; do
		[[ $pid -eq 0 ]] || kill -9 "$pid" 2>/dev/null || true
	done <"$1/cgroup.procs"
}

remove_cgroups() {
	local cgroup

	for cgroup in "${CGROUPS[@]}"; do
		end_cgroup_processes "$cgroup"
		# One that was killed takes a moment to leave.
		eventually rmdir "$cgroup" || echo "cannot remove $cgroup" >&2
	done
	CGROUPS=()
}
