#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# What is promised, in brief: on this kernel, and on Debian's booted under QEMU:
# the oldest, which keeps two queues, and one that merges them; and where such a
# kernel refuses. More of it, and all kernels: make check-kernels.

load helpers

keeps_promises() { # KERNEL
	local status=0

	SOCKSHUNT_CONSOLES=$BATS_TEST_TMPDIR timeout 900 \
		"$ROOT/tests/kernels/run" brief "$1" || status=$?
	[[ $status -ne 3 ]] || skip "optional: no kernel ${1%:*} can be had"
	[[ $status -eq 0 ]]
}

@test "kernels: every promise holds on this one" {
	keeps_promises host
}

@test "kernels: the verdict that everybody copies breaks promises" {
	run -1 "$ROOT/tests/kernels/run" brief naive host
	[[ ${lines[1]} == "$(uname -r)"*" FAILED "* ]]
}

@test "kernels: every promise holds on 5.10" {
	keeps_promises 5.10
}

@test "kernels: every promise holds on 6.12" {
	keeps_promises 6.12
	# This one can refuse splice(2), to a Go program: not only said to be lost.
	grep -q '^@@ splice ok ' "$BATS_TEST_TMPDIR/6.12"
}

@test "kernels: locked down, it is refused, and programs run on plain TCP" {
	keeps_promises 6.12:lockdown
}

@test "kernels: with cgroup v1 only, the shim accelerates" {
	keeps_promises 6.12:cgroup1
}
