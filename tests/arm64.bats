#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# All that is built here is built for arm64, too, with warnings as errors. What
# it does there: make check-kernels-arm64.

load helpers

ARM64=$ROOT/tests/bin/arm64

setup_file() {
	SYSROOT=$("$ROOT/tests/kernels/sysroot" arm64) || return 0
	export SYSROOT
	make -s -j "$(nproc)" -C "$ROOT" arm64 >&2
}

setup() {
	[[ -n ${SYSROOT-} ]] ||
		skip "optional: Debian's packages for arm64 cannot be had"
}

# Paths in the tree.
programs() {
	make -s -C "$ROOT" -pn programs | sed -n 's/^all: //p; s/^programs: all //p'
}

exported() { # SHIM
	nm -D --defined-only "$1" | awk '{ print $3 }' | sort
}

@test "arm64: every program and object is one" {
	local made path

	made=$(programs)
	[ "$(wc -w <<<"$made")" -ge 20 ]
	for path in $made; do
		file "$ARM64/$path" | tee /dev/stderr |
			grep -q 'ELF 64-bit LSB .*, \(ARM aarch64\|eBPF\),'
	done
}

@test "arm64: the shim exports the same functions, and needs the C library only" {
	local needed

	[ "$(exported "$ARM64/preload/libsockshunt.so")" = "$(exported "$SHIM")" ]
	needed=$(readelf -d "$ARM64/preload/libsockshunt.so" |
		sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
	[ "$(grep -v '^ld-linux' <<<"$needed")" = libc.so.6 ]
}

# Its types come from the running kernel, and what it includes is the same.
@test "arm64: the BPF programs are the same" {
	local section object=bpf/sockshunt.bpf.o

	for section in sk_msg sk_skb/stream_verdict sockops socket .rodata .maps .BTF; do
		echo "$section"
		readelf -x "$section" "$ROOT/$object" |
			grep -q 0x00000000
		cmp <(readelf -x "$section" "$ROOT/$object") \
			<(readelf -x "$section" "$ARM64/$object")
	done
}
