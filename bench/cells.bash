# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# The cells of the benchmark, to be sourced: what bench/cells/GROUP.bash says of
# its own by these functions. bench/README.md shows how.
# shellcheck shell=bash disable=SC2034 # bench/run reads the arrays

GROUP=  # whose cells are being declared or measured
CELLS=() # names, in the order in which they are measured

declare -A CELL_GROUP CELL_UNIT CELL_BETTER CELL_SIDES
declare -A CELL_QUICK CELL_REDIRECTED CELL_ROUNDS

# cell NAME UNIT higher|lower "SIDE..." [quick]: quick ones are part of QUICK=1.
cell() {
	[[ $1 =~ ^[A-Za-z0-9_]+$ && $3 =~ ^(higher|lower)$ &&
		${5-quick} == quick && -z ${CELL_GROUP[$1]-} ]] ||
		die "group $GROUP: not a cell: $*"
	CELLS+=("$1")
	CELL_GROUP[$1]=$GROUP
	CELL_UNIT[$1]=$2
	CELL_BETTER[$1]=$3
	CELL_SIDES[$1]=$4
	CELL_QUICK[$1]=${5-}
}

# Of a peer without the shim: that something is redirected would be the mistake.
cell_not_redirected() { # NAME
	CELL_REDIRECTED[$1]=no
}

# Of connections that are not worth registering: the shim leaves them on TCP, in a
# cgroup where there is one queue.
cell_not_worth_it() { # NAME
	CELL_REDIRECTED[$1 shim]=no
	CELL_REDIRECTED[$1 spin]=no
	CELL_REDIRECTED[$1 cgroup]=either
}

# Of those that may turn out to be.
cell_may_be_worth_it() { # NAME
	CELL_REDIRECTED[$1 shim]=either
	CELL_REDIRECTED[$1 spin]=either
	CELL_REDIRECTED[$1 cgroup]=either
}

# Whether messages are, in a round: yes, no, maybe, either.
is_redirected() { # CELL SIDE
	echo "${CELL_REDIRECTED[$1 $2]-${CELL_REDIRECTED[$1]-yes}}"
}

# Of a sender that may stay ahead of its reader, and so on TCP.
cell_may_not_redirect() { # NAME
	CELL_REDIRECTED[$1]=maybe
}

# Where more of them would say nothing new.
cell_rounds() { # NAME AT-MOST
	CELL_ROUNDS[$1]=$2
}

# BENCH_CELLS: another directory of groups, for tests.
declare_cells() {
	local file

	for file in "${BENCH_CELLS:-$ROOT/bench/cells}"/*.bash; do
		GROUP=$(basename "$file" .bash)
		# shellcheck source=/dev/null
		source "$file"
	done
	GROUP=
}

# select_cells QUICK REGEX: keeps those in CELLS.
select_cells() {
	local name selected=()

	for name in "${CELLS[@]}"; do
		[[ $name =~ $2 ]] || continue
		[[ -z $1 || -n ${CELL_QUICK[$name]} ]] || continue
		selected+=("$name")
	done
	CELLS=("${selected[@]}")
}

# sides_of CELL...: what can be had of their sides, each once.
sides_of() {
	local name side
	local -A seen=()

	for name in "$@"; do
		for side in ${CELL_SIDES[$name]}; do
			[[ -z ${SKIPPED[$side]-}${seen[$side]-} ]] || continue
			seen[$side]=yes
			echo "$side"
		done
	done
}
