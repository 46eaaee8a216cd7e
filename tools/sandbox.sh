#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# sandbox.sh COMMAND...: runs COMMAND as root in namespaces of its own (mount,
# network, processes), with loopback up and a private BPF file system at
# $SANDBOX/bpf. Whatever COMMAND leaves behind ends with it: processes, pins,
# mounts, namespaces.
set -euo pipefail

if [[ $# -eq 0 ]]; then
	echo "usage: sandbox.sh COMMAND..." >&2
	exit 2
fi
if [[ $EUID -ne 0 ]]; then
	echo "$(basename "$1"): must be run as root (BPF, network namespaces)" >&2
	exit 1
fi

if [[ ${1-} != --inside ]]; then
	SANDBOX=$(mktemp -d "${TMPDIR:-/tmp}/sockshunt-XXXXXX")
	export SANDBOX
	trap 'trap "" INT TERM; rm -rf "$SANDBOX"' EXIT
	# unshare(1) ignores signals while it waits; they are for the inside.
	unshare --mount --net --pid --fork --mount-proc --kill-child \
		"$0" --inside "$@" <&0 &
	stopped=
	trap 'stopped=1; pkill -TERM -P $! || true' INT TERM
	status=0
	wait $! || status=$?
	while [[ -n $stopped ]]; do # a signal ended the wait, too early
		stopped=
		status=143
		wait $! || true
	done
	exit "$status"
fi

shift
chmod 755 "$SANDBOX"
ip link set lo up
mkdir "$SANDBOX/bpf" "$SANDBOX/netns"
if ! mount -t bpf -o mode=755 bpf "$SANDBOX/bpf"; then
	echo "cannot mount a BPF file system (CONFIG_BPF_SYSCALL, CAP_SYS_ADMIN)" >&2
	exit 1
fi
# ip-netns(8) names its namespaces here; ours are nobody else's.
mkdir -p /run/netns
mount --bind "$SANDBOX/netns" /run/netns
mount --make-private /run/netns
exec "$@"
