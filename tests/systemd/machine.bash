# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# A machine that systemd boots, in namespaces and a cgroup of its own. For
# setup_file() and teardown_file(): what is exported lasts from test to test.
# shellcheck shell=bash

# boot_machine COMMANDS: prepares it with COMMANDS, as root in its file system,
# boots it, and waits until it is up.
boot_machine() {
	local cgroups

	cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
	[[ -n $cgroups ]] || skip "no cgroup v2 hierarchy is mounted"
	[[ -x /lib/systemd/systemd ]] || skip "systemd is not installed"
	MACHINE=$(mktemp -d "$SANDBOX/machine-XXXXXX")
	MACHINE_CGROUP=$(mktemp -d "$cgroups/sockshunt-machine-XXXXXX")
	MACHINE_LOG=$SANDBOX/machine.log
	# unshare(1) waits outside: with it, process 1 is killed, and all with that.
	# shellcheck disable=SC2016 # its own shell expands it
	bash -c 'echo $$ >"$0/cgroup.procs" && exec unshare --mount --pid --uts \
		--ipc --cgroup --net --propagation private --fork --kill-child \
		"$@"' "$MACHINE_CGROUP" "$ROOT/tests/systemd/boot" "$MACHINE" "$1" \
		>"$MACHINE_LOG" 2>&1 </dev/null 3>&- &
	MACHINE_UNSHARE=$!
	export MACHINE MACHINE_CGROUP MACHINE_UNSHARE MACHINE_PID MACHINE_LOG
	if ! eventually systemd_answers; then
		cat "$MACHINE_LOG" >&2
		return 1
	fi
	inside systemctl is-system-running --wait >/dev/null || true # a test looks
}

systemd_answers() {
	MACHINE_PID=$(pgrep -P "$MACHINE_UNSHARE") &&
		[[ $(cat "/proc/$MACHINE_PID/comm") == systemd ]] &&
		inside systemctl --version && inside test -S /run/systemd/private
}

# inside COMMAND...: as root in the machine.
inside() {
	timeout -k 1 60 nsenter -a -t "$MACHINE_PID" env -i \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		HOME=/root LANG=C.UTF-8 "$@" 3>&-
}

halt_machine() {
	local directory

	[[ -n ${MACHINE-} ]] || return 0
	[[ -z ${MACHINE_PID-} ]] || kill -s RTMIN+4 "$MACHINE_PID" || true
	eventually machine_ended || kill -9 "$MACHINE_UNSHARE"
	eventually machine_ended
	rmdir "$MACHINE"
	while read -r directory; do
		eventually rmdir "$directory"
	done < <(find "$MACHINE_CGROUP" -depth -type d)
}

machine_ended() {
	ended "$MACHINE_UNSHARE"
}
