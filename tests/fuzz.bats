#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Random scripts of socket operations show the same on plain TCP and
# accelerated: tests/semantics/fuzz --help. The same ones each time, so that
# what passes today passes tomorrow; `make fuzz-semantics` tries new ones.

load helpers

@test "fuzz: random scripts, the same on plain TCP and accelerated" {
	"$ROOT/tests/semantics/fuzz" --seconds "${FUZZ_SECONDS:-60}" \
		--seed "${FUZZ_SEED:-1}" >&3
}
