# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Streams, by a sender that blocks:
# stream_SIZE_PLACEMENT[_both|_cCONNECTIONS|_nodelay|_greeted|_slow].
# Sockets are as they come, with Nagle's algorithm: that is TCP at its best, and the
# shim leaves small messages to it; not where there were exchanges before, nor where TCP
# sends each by itself, for want of that algorithm or because those of a connection are
# few. A slow reader works for 100 us on 64 KiB, after exchanges.
# shellcheck shell=bash

stream_cell() { # NAME UNIT [quick]
	cell "stream_$1" "$2" higher "tcp shim cgroup naive unix" "${@:3}"
	cell_may_not_redirect "stream_$1"
	case $1 in
	*_greeted) ;;
	*_nodelay | 64_*_c*) cell_may_be_worth_it "stream_$1" ;;
	*) [[ ${1%%_*} -ge 32768 ]] || cell_not_worth_it "stream_$1" ;;
	esac
}

stream_cell 64_same sends/s
stream_cell 65536_same MiB/s
if two_cpus; then
	stream_cell 64_two sends/s quick
	stream_cell 1024_two MiB/s
	stream_cell 16384_two MiB/s
	stream_cell 65536_two MiB/s quick
	stream_cell 1048576_two MiB/s quick
	stream_cell 65536_two_both MiB/s
	stream_cell 65536_two_c10 MiB/s
	stream_cell 65536_two_c100 MiB/s quick
	stream_cell 65536_two_c1000 MiB/s
	stream_cell 64_two_c100 sends/s
	stream_cell 64_two_nodelay sends/s
	stream_cell 64_two_greeted sends/s
	stream_cell 65536_two_slow MiB/s
	stream_cell 1048576_two_slow MiB/s
fi

stream_round() { # CELL SIDE SECONDS RAW
	local size where more metric=mib options=()

	IFS=_ read -r _ size where more <<<"$1"
	case $more in
	both) options=(-b) ;;
	nodelay) options=(-N) ;;
	greeted) options=(-g4) ;;
	slow) options=(-g4 -w100) ;;
	c*) options=("-$more") ;;
	esac
	[[ $size -ne 64 ]] || metric=rate
	placement "$where"
	load_round "$2" "$4" "$metric" stream -t "$3" -s "$size" \
		"${options[@]}" "${PLACEMENT[@]}"
}
