# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# What the groups share that use nginx and wrk, to be sourced.
# shellcheck shell=bash

# serve_nginx SIDE PORT: with the files 1k and 100k.
serve_nginx() {
	local directory=$SANDBOX/nginx-$2

	need nginx wrk
	mkdir -p "$directory"
	head -c 1024 /dev/urandom >"$directory/1k"
	head -c 102400 /dev/urandom >"$directory/100k"
	cat >"$directory/nginx.conf" <<-END
		daemon off;
		user nobody nogroup;
		worker_processes 1;
		pid $directory/pid;
		error_log stderr;
		events { worker_connections 1024; }
		http {
			access_log off;
			sendfile on;
			keepalive_requests 1000000000;
			client_body_temp_path $directory/body;
			proxy_temp_path $directory/proxy;
			fastcgi_temp_path $directory/fastcgi;
			uwsgi_temp_path $directory/uwsgi;
			scgi_temp_path $directory/scgi;
			server { listen 127.0.0.1:$2; root $directory; }
		}
	END
	serve "$1" "$2" nginx -c "$directory/nginx.conf"
}

# wrk_round SIDE SECONDS RAW ARGUMENT...: wrk takes whole seconds, but prints its
# figures when it is interrupted, too.
wrk_round() {
	client "$1" "$3" timeout --preserve-status -s INT "$2" \
		wrk -t 1 -c 50 -d 60s --latency "${@:4}"
	says "$3" '^Requests/sec: +[1-9]'
	never_says "$3" 'Socket errors|Non-2xx'
	awk '
		function usecs(time) {
			if (time ~ /us$/) return time + 0
			return time * (time ~ /ms$/ ? 1000 : 1000000)
		}
		$1 == "Requests/sec:" { print "value", $2 }
		$1 == "50%" { print "p50", usecs($2) }
		$1 == "99%" { print "p99", usecs($2) }' "$3"
	cpu_metric "$(awk '$2 == "requests" { print $1 }' "$3")"
}
