# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Instructions in user space, by callgrind; to be sourced.
# shellcheck shell=bash disable=SC2034 # for who sources it

PINGPONG=$ROOT/tests/bin/pingpong
UNGUARDED=$ROOT/tests/bin/libsockshunt-unguarded.so

instructions() { # OBJECT TRIPS
	LD_PRELOAD=$1 valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		"$PINGPONG" -n "$2" 2>&1 >/dev/null |
		sed -n 's/.*Collected : //p'
}

# Of one trip, which is two sends and two reads: start-up cancels out.
per_trip() { # OBJECT
	echo $((($(instructions "$1" 3000) - $(instructions "$1" 2000)) / 1000))
}

per_call() { # INSTRUCTIONS-OF-A-TRIP
	awk -v d="$1" 'BEGIN { printf "%.1f", d / 4 }'
}
