#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# What is promised, on two of Debian's kernels booted under QEMU: the oldest,
# which keeps two queues, and one that merges them. All of them, and all cases:
# make check-kernels.

load helpers

boot() { # SERIES
	local status=0

	SOCKSHUNT_CONSOLES=$BATS_TEST_TMPDIR timeout 900 \
		"$ROOT/tests/kernels/run" quick "$1" || status=$?
	[[ $status -ne 3 ]] || skip "optional: no kernel $1 can be had"
	[[ $status -eq 0 ]]
}

@test "kernels: every promise holds on 5.10, or it is refused" {
	boot 5.10
}

@test "kernels: every promise holds on 6.12, or it is refused" {
	boot 6.12
}
