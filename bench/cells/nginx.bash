# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# nginx, one worker, and wrk, one thread with 50 connections, unpinned.
# shellcheck shell=bash
# shellcheck source=bench/web.bash
source "$ROOT/bench/web.bash"

NGINX_PORT=17400

cell nginx_keepalive_1k req/s higher "tcp shim cgroup naive" quick
cell nginx_keepalive_100k req/s higher "tcp shim cgroup naive"
cell nginx_close_1k req/s higher "tcp shim cgroup naive"
cell_not_worth_it nginx_close_1k

nginx_start() { # SIDE
	serve_nginx "$1" "$(side_port "$NGINX_PORT" "$1")"
}

nginx_round() { # CELL SIDE SECONDS RAW
	local url options=()

	url=http://127.0.0.1:$(side_port "$NGINX_PORT" "$2")/${1##*_}
	[[ $1 != *_close_* ]] || options=(-H 'Connection: close')
	wrk_round "$2" "$3" "$4" "${options[@]}" "$url"
}
