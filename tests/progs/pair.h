/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Both ends of a connection over loopback; what cannot fail ends the program. */
#ifndef SOCKSHUNT_TESTS_PAIR_H
#define SOCKSHUNT_TESTS_PAIR_H

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static inline void check(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(2);
}

static inline void make_pair(int *client, int *server)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(addr);

	check(!bind(listener, (struct sockaddr *)&addr, len) &&
		      !listen(listener, 1) &&
		      !getsockname(listener, (struct sockaddr *)&addr, &len),
	      "listen");
	*client = socket(AF_INET, SOCK_STREAM, 0);
	check(!connect(*client, (struct sockaddr *)&addr, len), "connect");
	*server = accept(listener, NULL, NULL);
	check(*server >= 0, "accept");
	close(listener);
}

#endif
