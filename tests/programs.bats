#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Real programs, straight from the distribution, both ends accelerated, and
# judged by the content that arrives.

load helpers

setup() {
	own_configuration
	# Not below bats' own directory, which workers of nginx may not enter.
	mkdir "$SANDBOX/p$BATS_SUITE_TEST_NUMBER"
	cd "$SANDBOX/p$BATS_SUITE_TEST_NUMBER" || return
}

teardown() {
	end_servers
}

# shellcheck disable=SC2030,SC2031 # bats runs each test in a subshell
background() { # OUTPUT COMMAND...
	local output=$1

	shift
	LD_PRELOAD=$SHIM "$@" >"$output" 3>&- &
	SERVERS+=($!)
}

start_redis() { # PORT
	start shimmed redis-server --port "$1" --save '' --appendonly no
	wait_for_port "$1"
}

hash_of() {
	sha256sum | cut -d' ' -f1
}

@test "redis: a value of 64 MB goes in and comes back the same" {
	local before after

	start_redis 7001
	head -c $((64 << 20)) /dev/urandom >value
	before=$(hash_of <value)
	shimmed redis-cli -p 7001 -x set big <value
	# redis-cli ends a reply that is no terminal's with a newline.
	after=$(shimmed redis-cli -p 7001 get big | head -c $((64 << 20)) | hash_of)
	[[ $after == "$before" ]]
	assert_counter redirected_bytes -gt 0
}

@test "redis: MONITOR shows every command in order" {
	local i

	start_redis 7002
	background monitor redis-cli -p 7002 monitor
	eventually grep -q OK monitor
	for ((i = 0; i < 500; i++)); do
		echo "set key$i value$i"
	done | shimmed redis-cli -p 7002 >/dev/null
	eventually grep -q '"value499"' monitor
	grep -o '"value[0-9]*"' monitor >seen
	for ((i = 0; i < 500; i++)); do
		echo "\"value$i\""
	done | cmp - seen
	assert_counter redirected_messages -gt 500
}

@test "redis: a subscriber gets every message in order" {
	local i

	start_redis 7003
	background got redis-cli -p 7003 subscribe news
	eventually grep -q subscribe got
	for ((i = 0; i < 500; i++)); do
		echo "publish news item-$i"
	done | shimmed redis-cli -p 7003 >/dev/null
	eventually grep -q item-499 got
	[[ $(grep -c item- got) -eq 500 ]]
	grep item- got | sort -c -t- -k2n
	assert_counter redirected_messages -gt 500
}

@test "redis: redis-benchmark, every command, pipelined and not" {
	start_redis 7004
	run -0 shimmed redis-benchmark -p 7004 -q -n 5000 -c 50
	[[ $output != *rror* ]]
	run -0 shimmed redis-benchmark -p 7004 -q -n 50000 -c 20 -P 16 -d 1024 -t set,get
	[[ $output != *rror* ]]
	assert_counter redirected_messages -gt 50000
	assert_counter refused -eq 0
}

@test "redis: two shells, no other step" {
	# Exactly what README says, by environment alone.
	SOCKSHUNT_CONF=$CONF LD_PRELOAD=$SHIM start redis-server --port 7005 --save ''
	wait_for_port 7005
	SOCKSHUNT_CONF=$CONF LD_PRELOAD=$SHIM redis-benchmark -p 7005 -q -t get \
		-n 10000
	assert_counter redirected_messages -gt 10000
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

@test "memcached: values of many sizes come back the same" {
	local i

	# It gives up root before it listens: pins are made for its group, ahead.
	configure "pin_group = nogroup"
	"$SOCKSHUNT" load
	start shimmed memcached -u nobody -l 127.0.0.1 -p 7006
	wait_for_port 7006
	# One session of the text protocol over a single connection.
	{
		for ((i = 1; i <= 300; i++)); do
			printf 'set k%d 0 0 %d\r\n%0*d\r\n' "$i" $((i * 37)) $((i * 37)) "$i"
		done
		for ((i = 1; i <= 300; i++)); do
			printf 'get k%d\r\n' "$i"
		done
		printf 'quit\r\n'
	} >session
	for ((i = 1; i <= 300; i++)); do
		printf 'STORED\r\n'
	done >want
	for ((i = 1; i <= 300; i++)); do
		printf 'VALUE k%d 0 %d\r\n%0*d\r\nEND\r\n' "$i" $((i * 37)) $((i * 37)) "$i"
	done >>want
	shimmed timeout 20 curl -sS --max-time 15 telnet://127.0.0.1:7006 \
		<session >got
	cmp want got
	assert_counter redirected_messages -gt 0
}

@test "sockperf: ping-pong and throughput lose and reorder nothing" {
	local mode

	start shimmed sockperf server --tcp -i 127.0.0.1 -p 7007
	wait_for_port 7007
	for mode in ping-pong throughput under-load; do
		run -0 shimmed sockperf "$mode" --tcp -i 127.0.0.1 -p 7007 -t 2
		[[ $output != *ERROR* ]]
		if [[ $mode != throughput ]]; then
			[[ $output == *"# dropped messages = 0; # duplicated messages = 0; # out-of-order messages = 0"* ]]
		fi
	done
	assert_counter redirected_messages -gt 10000
}
