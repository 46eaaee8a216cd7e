# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# HAProxy in front of nginx, and wrk, unpinned: each request takes two connections,
# both accelerated.
# shellcheck shell=bash
# shellcheck source=bench/web.bash
source "$ROOT/bench/web.bash"

HAPROXY_PORT=17500
HAPROXY_NGINX_PORT=17510

cell haproxy_keepalive_1k req/s higher "tcp shim cgroup naive"

haproxy_start() { # SIDE
	local port nginx

	need haproxy
	port=$(side_port "$HAPROXY_PORT" "$1")
	nginx=$(side_port "$HAPROXY_NGINX_PORT" "$1")
	serve_nginx "$1" "$nginx"
	cat >"$SANDBOX/haproxy-$1.cfg" <<-END
		global
			nbthread 1
		defaults
			mode http
			timeout connect 5s
			timeout client 20s
			timeout server 20s
			http-reuse always
		listen requests
			bind 127.0.0.1:$port
			server nginx 127.0.0.1:$nginx
	END
	serve "$1" "$port" haproxy -db -f "$SANDBOX/haproxy-$1.cfg"
}

haproxy_round() { # CELL SIDE SECONDS RAW
	wrk_round "$2" "$3" "$4" \
		"http://127.0.0.1:$(side_port "$HAPROXY_PORT" "$2")/1k"
}
