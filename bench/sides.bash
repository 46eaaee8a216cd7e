# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# The sides that are compared, to be sourced. Each accelerated one has its own
# configuration, $SANDBOX/SIDE.ini, and pins, so that no side meets another.
#
#   tcp        TCP as it is; as all others in a cgroup that nothing is attached to,
#              for that alone costs up to 3 % where processes sleep often
#   shim       accelerated by the shim only
#   cgroup     both ends in a cgroup that the programs are attached to, and shim
#   naive      as shim, with the verdict that everybody copies, and registered at
#              once, as everybody does
#   empty      the same with a verdict that leaves all to TCP, unseen
#   unix       AF_UNIX, where the program can
#   spin       as shim, with busy_poll_usecs = 50
#   spin_unix  AF_UNIX, and readers that poll for 50 us before they block
# shellcheck shell=bash disable=SC2034 # for who sources it

SPIN_USECS=50

PLAIN_CGROUP=    # of all sides but cgroup, if that is compared
ATTACHED_CGROUP= # that side's
declare -A LOADED  # the accelerated sides that are, with their counters
declare -A SKIPPED # the ones that cannot be, with the reason

is_accelerated() { # SIDE
	[[ $1 != tcp && $1 != unix && $1 != spin_unix ]]
}

side_configuration() { # SIDE
	printf '%s\n' '[sockshunt]' "pin_path = $SANDBOX/bpf/$1"
	# For servers that refuse to run as root.
	! getent group postgres >/dev/null || echo 'pin_group = postgres'
	case $1 in
	cgroup) echo "cgroup_path = $ATTACHED_CGROUP" ;;
	naive | empty)
		echo "bpf_program_path = $ROOT/tests/bin/$1.bpf.o"
		echo 'register_after_exchanges = 0'
		;;
	spin) echo "busy_poll_usecs = $SPIN_USECS" ;;
	esac
}

# shellcheck disable=SC2153 # CGROUP is set by make_cgroup
make_cgroups() {
	make_cgroup bench || return 1
	ATTACHED_CGROUP=$CGROUP
	make_cgroup plain || return 1
	PLAIN_CGROUP=$CGROUP
}

# load_side SIDE: once, ahead of all that runs on it. A side that this machine
# cannot have is skipped.
load_side() {
	local said

	is_accelerated "$1" && [[ -z ${LOADED[$1]-}${SKIPPED[$1]-} ]] || return 0
	if [[ $1 == cgroup ]] && ! make_cgroups; then
		SKIPPED[cgroup]="no cgroup can be made in a cgroup v2 hierarchy"
		return
	fi
	side_configuration "$1" >"$SANDBOX/$1.ini"
	said=$("$SOCKSHUNT" load -c "$SANDBOX/$1.ini" 2>&1) ||
		die "cannot load side $1: $said"
	# That these break promises is known.
	[[ $1 == naive || $1 == empty || -z $said ]] || echo "$said" >&2
	LOADED[$1]=$(judged_on "$1")
}

# side SIDE COMMAND...: in its place.
side() {
	local cgroup=$PLAIN_CGROUP with=()

	! is_accelerated "$1" || with=("$SOCKSHUNT" run -c "$SANDBOX/$1.ini" --)
	[[ $1 != cgroup ]] || cgroup=$ATTACHED_CGROUP
	in_cgroup "$cgroup" "${with[@]}" "${@:2}"
}

# Messages that the verdict has redirected so far, and left to TCP.
judged_on() { # SIDE
	"$SOCKSHUNT" status -c "$SANDBOX/$1.ini" --json | jq -er '.counters |
		[.redirected_messages, (with_entries(
			select(.key | startswith("tcp_"))) | add)] | @tsv' ||
		die "cannot read the counters of side $1"
}

# look_at SIDE: REDIRECTED and LEFT to TCP since the last look.
look_at() {
	local before after

	read -ra before <<<"${LOADED[$1]}"
	LOADED[$1]=$(judged_on "$1")
	read -ra after <<<"${LOADED[$1]}"
	REDIRECTED=$((after[0] - before[0]))
	LEFT=$((after[1] - before[1]))
}

# check_redirected SIDE yes|no|maybe|either: that what was measured is what its
# name says; a side that is not accelerated redirects nothing anywhere. Maybe: the
# verdict was asked at least. Else WRONG says what.
check_redirected() {
	local side

	WRONG=
	if ! is_accelerated "$1"; then
		for side in "${!LOADED[@]}"; do
			look_at "$side"
			[[ $REDIRECTED -eq 0 ]] ||
				WRONG="messages were redirected on side $side"
		done
		return
	fi
	look_at "$1"
	case $2 in
	yes) [[ $REDIRECTED -gt 0 ]] || WRONG="nothing was redirected" ;;
	no) [[ $REDIRECTED -eq 0 ]] || WRONG="messages were redirected" ;;
	maybe) [[ $((REDIRECTED + LEFT)) -gt 0 ]] ||
		WRONG="nothing was accelerated" ;;
	esac
}
