/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * hostile PINS COMMAND...: what a process that can open the pins may do to others,
 * and what comes of it, in one line:
 *
 *   open            opens each pin: "opened NAME..."
 *   delete MAP PORT removes the entries of that port's connections: "deleted N"
 *   occupy MAP PORT has a socket of its own in the place of each: "occupy N"
 *   forge MAP PORT  the same with sockets whose addresses and ports are those of
 *                   the entry, made in its own network namespace: "forge N"
 *   udp MAP PORT    the same with UDP sockets, which may have them in any: "udp N"
 *   fill MAP        takes all that is free: "filled N"
 *   freeze MAP      lets nobody change it any more: "frozen"
 *   attach MAP      loads a program of its own, or attaches another that is pinned,
 *                   or takes off what is attached: "attached"
 *   fds             opens the objects by their numbers, not by their pins
 *   scribble FROM BYTE [MSECS]  fills the control map with that byte, or with
 *                   random ones ("random"), for so long, from its field magic, ids
 *                   or flags on to its end: "scribbled"
 *   cgroup DIR      says there that DIR is what is attached to: "scribbled"
 *
 * occupy and forge then send a message by each of their sockets; like udp and fill
 * they wait for the end of standard input, and say "read N": the bytes that came in
 * meanwhile and are not their own. What is refused is said on standard error: exit
 * status 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../bpf/abi.h"
#include "../../bpf/sysbpf.h"

#define MOST 4096

static const char *const pins[] = { SS_MAP_SOCKHASH, SS_MAP_MERGED,
				    SS_MAP_COUNTERS, SS_MAP_CONTROL,
				    SS_PIN_OWNERS };
#define NR_PINS (sizeof(pins) / sizeof(pins[0]))

static const char *directory;
static int sockets[2 * MOST];
static int nr_sockets;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int try_open(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return ss_bpf_obj_get(path);
}

static int open_pin(const char *name)
{
	int fd = try_open(name);

	if (fd < 0)
		die(name);
	return fd;
}

static void open_all(void)
{
	bool any = false;

	for (size_t i = 0; i < NR_PINS; i++) {
		int fd = try_open(pins[i]);

		if (fd < 0) {
			perror(pins[i]);
			continue;
		}
		printf("%s %s", any ? "" : "opened", pins[i]);
		any = true;
		close(fd);
	}
	puts(any ? "" : "opened nothing");
	exit(!any);
}

/* The first of the kernel's objects: for them no pin is needed. */
static void open_by_id(void)
{
	static const enum bpf_cmd next[] = { BPF_MAP_GET_NEXT_ID,
					     BPF_PROG_GET_NEXT_ID };
	static const enum bpf_cmd get[] = { BPF_MAP_GET_FD_BY_ID,
					    BPF_PROG_GET_FD_BY_ID };
	union bpf_attr attr;

	for (int i = 0; i < 2; i++) {
		memset(&attr, 0, sizeof(attr));
		if (!ss_sys_bpf(next[i], &attr)) {
			__u32 id = attr.next_id;

			memset(&attr, 0, sizeof(attr));
			attr.map_id = id;
			if (ss_sys_bpf(get[i], &attr) >= 0) {
				puts("opened by number");
				return;
			}
		}
	}
	die("by number");
}

/* The keys of the connections of @port, of all for 0. */
static int keys_of(int map, unsigned int port, struct ss_key keys[MOST])
{
	struct ss_key key, next;
	bool more = !ss_bpf_map_next_key(map, NULL, &next);
	int n = 0;

	while (more && n < MOST) {
		key = next;
		if (!port || key.local_port == port || key.remote_port == port)
			keys[n++] = key;
		more = !ss_bpf_map_next_key(map, &key, &next);
	}
	return n;
}

static void delete_all(const char *name, unsigned int port)
{
	static struct ss_key keys[MOST];
	int map = open_pin(name), n = keys_of(map, port, keys), deleted = 0;

	for (int i = 0; i < n; i++)
		deleted += !ss_bpf_map_delete(map, &keys[i]);
	printf("deleted %d\n", deleted);
}

static int bound(const struct sockaddr_in *address)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)))
		die("bind");
	return fd;
}

static struct sockaddr_in address_of(const __u32 ip[4], __u16 port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port) };

	address.sin_addr.s_addr = ip[3];
	return address;
}

/* A connection of our own; returns the end that is at @local. */
static int connection(struct sockaddr_in local, struct sockaddr_in remote)
{
	socklen_t len = sizeof(remote);
	int listener = bound(&remote), fd = bound(&local);

	if (listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&remote, &len) ||
	    connect(fd, (struct sockaddr *)&remote, sizeof(remote)))
		die("connect");
	sockets[nr_sockets++] = fd;
	sockets[nr_sockets++] = accept(listener, NULL, NULL);
	close(listener);
	return fd;
}

static int any_connection(void)
{
	const __u32 loopback[4] = { 0, 0, SS_V4_MAPPED,
				    htonl(INADDR_LOOPBACK) };

	return connection(address_of(loopback, 0), address_of(loopback, 0));
}

static int datagrams(struct sockaddr_in local, struct sockaddr_in remote)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&local, sizeof(local)) ||
	    connect(fd, (struct sockaddr *)&remote, sizeof(remote)))
		die("datagrams");
	sockets[nr_sockets++] = fd;
	return fd;
}

/* Whatever comes, until the end of standard input. */
static void listen_to_all(bool talks)
{
	static struct pollfd p[2 * MOST + 1];
	static const char ours[100] = "ours";
	long long bytes = 0;
	char buf[4096];

	for (int i = 0; i < nr_sockets && talks; i += 2) {
		ssize_t n = send(sockets[i], ours, sizeof(ours), 0);

		if (n < 0)
			die("send");
		bytes -= n;
	}
	fflush(stdout);
	p[0] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
	for (int i = 0; i < nr_sockets; i++)
		p[i + 1] =
			(struct pollfd){ .fd = sockets[i], .events = POLLIN };
	while (poll(p, (nfds_t)nr_sockets + 1, -1) > 0) {
		for (int i = 0; i < nr_sockets; i++) {
			ssize_t n = recv(sockets[i], buf, sizeof(buf),
					 MSG_DONTWAIT);

			bytes += n > 0 ? n : 0;
		}
		if (p[0].revents && read(STDIN_FILENO, buf, sizeof(buf)) <= 0)
			break;
	}
	printf("read %lld\n", bytes);
}

/* Our own socket in the place of that. */
static int stand_in(const char *how, const struct ss_key *k)
{
	struct sockaddr_in local = address_of(k->local_ip, k->local_port);
	struct sockaddr_in remote = address_of(k->remote_ip, k->remote_port);

	if (!strcmp(how, "occupy"))
		return any_connection();
	return !strcmp(how, "udp") ? datagrams(local, remote)
				   : connection(local, remote);
}

static void take_place(const char *how, const char *name, unsigned int port)
{
	static struct ss_key keys[MOST];
	int map = open_pin(name), n = keys_of(map, port, keys);

	if (!strcmp(how, "forge") && n > 1)
		n = 1; /* the other way round it is taken */
	for (int i = 0; i < n; i++) {
		__u64 value = (__u64)stand_in(how, &keys[i]);

		if (ss_bpf_map_update(map, &keys[i], &value, BPF_ANY))
			die("update");
	}
	printf("%s %d\n", how, n);
	listen_to_all(strcmp(how, "udp") != 0);
}

static void fill(const char *name)
{
	struct ss_key key = { .local_port = 1 };
	int map = open_pin(name), n;

	for (n = 0; n < MOST; n++) {
		__u64 value = (__u64)any_connection();

		key.local_ip[0] = (__u32)n;
		if (ss_bpf_map_update(map, &key, &value, BPF_NOEXIST))
			break;
	}
	printf("filled %d\n", n);
	listen_to_all(false);
}

static void freeze(const char *name)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (__u32)open_pin(name);
	if (ss_sys_bpf(BPF_MAP_FREEZE, &attr))
		die("freeze");
	puts("frozen");
}

static bool load_own(void)
{
	static const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SK_MSG;
	attr.insn_cnt = 2;
	attr.insns = (uintptr_t)pass;
	attr.license = (uintptr_t) "GPL";
	return ss_sys_bpf(BPF_PROG_LOAD, &attr) >= 0;
}

static void attach(const char *name)
{
	static const enum bpf_attach_type types[] = {
		BPF_SK_MSG_VERDICT, BPF_SK_SKB_STREAM_VERDICT,
		BPF_SK_SKB_STREAM_PARSER
	};
	int map = open_pin(name), prog = open_pin(SS_PIN_OWNERS);
	bool done = load_own();
	union bpf_attr attr;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		memset(&attr, 0, sizeof(attr));
		attr.target_fd = (__u32)map;
		attr.attach_bpf_fd = (__u32)prog;
		attr.attach_type = types[i];
		done |= !ss_sys_bpf(BPF_PROG_ATTACH, &attr);
		done |= !ss_sys_bpf(BPF_PROG_DETACH, &attr);
		attr.attach_bpf_fd = 0;
		done |= !ss_sys_bpf(BPF_PROG_DETACH, &attr);
	}
	if (!done)
		die("attach");
	puts("attached");
}

/* All of its pages: also what is behind the last field. */
static unsigned char *map_control(size_t *size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *c;

	*size = (sizeof(struct ss_control) + page - 1) & ~(page - 1);
	c = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED,
		 open_pin(SS_MAP_CONTROL), 0);
	if (c == MAP_FAILED)
		die("map");
	return c;
}

static void write_cgroup(const char *dir)
{
	size_t size;
	struct ss_control *c = (struct ss_control *)map_control(&size);

	snprintf(c->cgroup_path, sizeof(c->cgroup_path), "%s", dir);
	puts("scribbled");
}

static void fill_with(unsigned char *at, size_t size, const char *byte)
{
	if (strcmp(byte, "random") != 0) {
		memset(at, atoi(byte), size);
		return;
	}
	for (size_t n; size; at += n, size -= n) {
		n = size < 256 ? size : 256; /* which are never interrupted */
		if (getrandom(at, n, 0) != (ssize_t)n)
			die("random");
	}
}

static void scribble(const char *from, const char *byte, int msecs)
{
	size_t size, offset = !strcmp(from, "ids")
				      ? offsetof(struct ss_control, ids)
			      : !strcmp(from, "flags")
				      ? offsetof(struct ss_control, flags)
				      : 0;
	unsigned char *c = map_control(&size);
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		fill_with(c + offset, size - offset, byte);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - start.tv_sec) * 1000 +
			 (now.tv_nsec - start.tv_nsec) / 1000000 <
		 msecs);
	puts("scribbled");
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[2] : "", *first = argv[3];
	struct rlimit files;

	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	directory = argv[1];
	if (!strcmp(what, "open"))
		open_all();
	else if (!strcmp(what, "fds"))
		open_by_id();
	else if (!strcmp(what, "delete") && argc == 5)
		delete_all(first, (unsigned int)atoi(argv[4]));
	else if ((!strcmp(what, "occupy") || !strcmp(what, "forge") ||
		  !strcmp(what, "udp")) &&
		 argc == 5)
		take_place(what, first, (unsigned int)atoi(argv[4]));
	else if (!strcmp(what, "fill") && argc == 4)
		fill(first);
	else if (!strcmp(what, "freeze") && argc == 4)
		freeze(first);
	else if (!strcmp(what, "attach") && argc == 4)
		attach(first);
	else if (!strcmp(what, "scribble") && argc > 4)
		scribble(first, argv[4], argc > 5 ? atoi(argv[5]) : 0);
	else if (!strcmp(what, "cgroup") && argc == 4)
		write_cgroup(first);
	else
		return 2;
	return 0;
}
