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

# many_files: 200 in www, of 0 bytes to 1 MB, mostly small.
many_files() {
	local i

	mkdir www
	: >www/empty
	random_bytes $((1 << 20)) >www/most
	for ((i = 0; i < 198; i++)); do
		random_bytes $((2 ** (i % 18) + RANDOM % (2 ** (i % 18)))) >"www/f$i"
	done
}

# start_reverse_proxy: 8091 before the files (8090) and the echo (8092).
start_reverse_proxy() {
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
			client_max_body_size 2m;
			keepalive_requests 100000;
			upstream files { server 127.0.0.1:8090; keepalive 8; }
			upstream echo { server 127.0.0.1:8092; keepalive 8; }
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			server { listen 8090; root $PWD/www; sendfile on; }
			server {
				listen 8091;
				location / { proxy_pass http://files; }
				location /echo { proxy_pass http://echo; }
			}
		}
	END
	start shimmed nginx -c "$PWD/nginx.conf"
	start shimmed python3 "$PROGS/http_load.py" echo 8092
	wait_for_port 8091
	wait_for_port 8092
}

@test "nginx: 10000 requests and bodies of random sizes through a reverse proxy" {
	many_files
	start_reverse_proxy
	run -0 client python3 "$PROGS/http_load.py" load 8091 www 10000 4
	[[ $output == "10000 requests, "*" bytes, 4 connections" ]]
	# Request and answer, on both sides of the proxy.
	assert_redirected 40000
}

# start_haproxy: 8101 forwards bytes to nginx (8080), 8102 requests to it and to
# the echo (8092), by splice(2) wherever it can.
start_haproxy() {
	cat >haproxy.cfg <<-END
		global
			nbthread 2
		defaults
			timeout connect 5s
			timeout client 20s
			timeout server 20s
			option splice-auto
			option splice-request
			option splice-response
		listen bytes
			mode tcp
			bind 127.0.0.1:8101
			server nginx 127.0.0.1:8080
		listen requests
			mode http
			bind 127.0.0.1:8102
			http-reuse always
			use_backend echo if { path /echo }
			server nginx 127.0.0.1:8080
		backend echo
			mode http
			http-reuse always
			server echo 127.0.0.1:8092
	END
	start shimmed haproxy -db -f "$PWD/haproxy.cfg"
	wait_for_port 8102
}

# fetch_all PORT: every file of www over one connection, compared.
fetch_all() {
	local name

	for name in www/*; do
		printf 'url = "http://127.0.0.1:%d/%s"\noutput = "got/%s"\n' \
			"$1" "${name#www/}" "${name#www/}"
	done >urls
	mkdir got
	client curl -sS -m 30 -K urls
	diff -r www got
	rm -r got
}

@test "haproxy: bytes forwarded by splice, big and small" {
	local want

	many_files
	random_bytes $((100 << 20)) >www/big
	want=$(hash_of <www/big)
	start_nginx
	start_haproxy
	fetch_all 8101
	[[ $(client curl -sS -m 30 http://127.0.0.1:8101/big | hash_of) == "$want" ]]
	assert_redirected 500
}

@test "haproxy: requests forwarded by splice, big and small, and bodies" {
	local want i

	many_files
	random_bytes $((100 << 20)) >www/big
	want=$(hash_of <www/big)
	start_nginx
	start shimmed python3 "$PROGS/http_load.py" echo 8092
	wait_for_port 8092
	start_haproxy
	fetch_all 8102
	[[ $(client curl -sS -m 30 http://127.0.0.1:8102/big | hash_of) == "$want" ]]
	rm www/big
	run -0 client python3 "$PROGS/http_load.py" load 8102 www 2000 2
	[[ $output == "2000 requests, "* ]]
	assert_redirected 2000
}

# start_tls: nginx at 8443 with a certificate of the test's own.
start_tls() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
		-keyout key.pem -out certificate.pem 2>/dev/null
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
			server {
				listen 8443 ssl http2;
				ssl_certificate $PWD/certificate.pem;
				ssl_certificate_key $PWD/key.pem;
				root $PWD/www;
			}
		}
	END
	start shimmed nginx -c "$PWD/nginx.conf"
	wait_for_port 8443
}

@test "curl: TLS from nginx, one connection for many files, and a big one" {
	local name version want connections

	many_files
	random_bytes $((100 << 20)) >www/big
	want=$(hash_of <www/big)
	start_tls
	for version in --http1.1 --http2; do
		[[ $(client curl -sS -m 30 $version --cacert certificate.pem \
			https://127.0.0.1:8443/big | hash_of) == "$want" ]]
	done
	rm www/big
	for name in www/*; do
		printf 'url = "https://127.0.0.1:8443/%s"\noutput = "got/%s"\n' \
			"${name#www/}" "${name#www/}"
	done >urls
	for version in --http1.1 --http2 --tls-max\ 1.2; do
		mkdir got
		# shellcheck disable=SC2086 # an option and its value
		connections=$(client curl -sS -m 30 $version --cacert certificate.pem \
			-w '%{num_connects}\n' -K urls | awk '{ n += $1 } END { print n }')
		[[ $connections -eq 1 ]]
		diff -r www got
		rm -r got
	done
	assert_redirected 1000
}
