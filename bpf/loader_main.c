/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * sockshunt-loader [-c FILE] [-s SOCKET]: what the shim starts when nothing
 * is loaded yet, so that libbpf and its memory never enter an application.
 * Exit status 0: pinned; 1: failed; 2: not pinned, the objects were sent to
 * the unix socket with descriptor number SOCKET (SCM_RIGHTS; one byte for each
 * says which it is).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader.h"

static int send_fds(int sock, const int fds[SS_NR_OBJECTS])
{
	char kinds[SS_NR_OBJECTS];
	union {
		char buf[CMSG_SPACE(SS_NR_OBJECTS * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { .iov_base = kinds };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int n = 0;

	for (int i = 0; i < SS_NR_OBJECTS; i++) {
		if (fds[i] < 0)
			continue;
		memcpy(CMSG_DATA(c) + n * sizeof(int), &fds[i], sizeof(int));
		kinds[n++] = (char)i;
	}
	iov.iov_len = n;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
	return sendmsg(sock, &msg, MSG_NOSIGNAL) == n ? 0 : -1;
}

int main(int argc, char **argv)
{
	const char *file = NULL;
	struct ss_conf_error err;
	struct ss_conf conf;
	int opt, sock = -1, fds[SS_NR_OBJECTS];
	sigset_t none;

	/* The shim starts us with every signal blocked. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	ss_conf_defaults(&conf);
	while ((opt = getopt(argc, argv, "c:s:")) != -1) {
		switch (opt) {
		case 'c':
			file = optarg;
			break;
		case 's':
			sock = atoi(optarg);
			break;
		default:
			return 1;
		}
	}
	if (file && ss_conf_read(&conf, file, &err)) {
		ss_log(SS_LOG_ERROR, "%s", err.text);
		return 1;
	}
	ss_log_init(conf.log_level);
	switch (ss_load(&conf, sock >= 0 ? fds : NULL)) {
	case 0:
		return 0;
	case 1:
		return send_fds(sock, fds) ? 1 : 2;
	default:
		return 1;
	}
}
