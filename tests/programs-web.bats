#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Web servers, proxies and their clients, both ends accelerated.

load helpers
load programs

setup() {
	enter_directory
}

teardown() {
	leave_directory
}

start_nginx() {
	mkdir -p www
	cat >nginx.conf <<-END
		daemon off;
		user nobody nogroup;
		worker_processes 2;
		pid $PWD/nginx.pid;
		error_log stderr;
		events { }
		http {
			access_log off;
			client_body_temp_path $PWD/body;
			proxy_temp_path $PWD/proxy;
			fastcgi_temp_path $PWD/fastcgi;
			uwsgi_temp_path $PWD/uwsgi;
			scgi_temp_path $PWD/scgi;
			upstream backend { server 127.0.0.1:8080; keepalive 8; }
			server { listen 8080; listen [::]:8080; root $PWD/www; sendfile on; }
			server { listen 8081; root $PWD/www; sendfile off; }
			server {
				listen 8082;
				location / {
					proxy_pass http://backend;
					proxy_http_version 1.1;
					proxy_set_header Connection "";
				}
			}
		}
	END
	start shimmed nginx -c "$PWD/nginx.conf"
	wait_for_port 8082
}

@test "nginx: 100 MB to curl: sendfile, writev, proxied, IPv6" {
	local url want

	mkdir www
	head -c $((100 << 20)) /dev/urandom >www/big
	want=$(hash_of <www/big)
	start_nginx
	for url in 127.0.0.1:8080 127.0.0.1:8081 127.0.0.1:8082 '[::1]:8080'; do
		[[ $(shimmed curl -sS "http://$url/big" | hash_of) == "$want" ]]
	done
	# Much of a long stream goes by TCP: the server is ahead of its client.
	assert_counter redirected_bytes -gt 100000
}

@test "nginx: 2000 files of many sizes over few connections" {
	local i

	mkdir www
	for ((i = 1; i <= 100; i++)); do
		head -c $((i * i * 13)) /dev/urandom >"www/f$i"
	done
	start_nginx
	for ((i = 1; i <= 100; i++)); do
		printf 'url = "http://127.0.0.1:8082/f%d"\noutput = "got/f%d"\n' \
			"$i" "$i"
	done >urls
	mkdir got
	for ((i = 0; i < 20; i++)); do
		shimmed curl -sS -K urls
		diff -r www got
		rm -r got && mkdir got
	done
	assert_counter redirected_messages -gt 2000
}

@test "nginx: wrk meets no error, by workers without privilege" {
	mkdir www
	head -c 1024 /dev/urandom >www/small
	start_nginx
	run -0 shimmed wrk -t1 -c20 -d3 http://127.0.0.1:8080/small
	[[ $output != *"Socket errors"* && $output != *Non-2xx* ]]
	assert_counter redirected_messages -gt 10000
	assert_counter refused -eq 0
}
