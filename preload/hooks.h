/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The list of everything the shim intercepts: X(name, return type, arguments).
 * The pointers to the originals and their binding derive from it.
 */
#ifndef SOCKSHUNT_HOOKS_H
#define SOCKSHUNT_HOOKS_H

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define SS_HOOKS(X)                                                            \
	/* sockets get in here */                                              \
	X(accept, int, (int fd, struct sockaddr *addr, socklen_t *len))        \
	X(accept4, int,                                                        \
	  (int fd, struct sockaddr *addr, socklen_t *len, int flags))          \
	X(connect, int, (int fd, const struct sockaddr *addr, socklen_t len))  \
	X(getsockopt, int,                                                     \
	  (int fd, int level, int name, void *value, socklen_t *len))          \
	/* start before privileges are dropped */                              \
	X(listen, int, (int fd, int backlog))                                  \
	/* keep our own descriptor out of the program's way */                 \
	X(close, int, (int fd))                                                \
	X(_exit, void, (int status))                                           \
	X(_Exit, void, (int status))                                           \
	X(closefrom, void, (int first))                                        \
	X(close_range, int,                                                    \
	  (unsigned int first, unsigned int last, int flags))                  \
	X(dup2, int, (int from, int to))                                       \
	X(dup3, int, (int from, int to, int flags))                            \
	/* filters that forbid us what we do: seccomp.h */                     \
	X(syscall, long,                                                       \
	  (long nr, long a, long b, long c, long d, long e, long f))           \
	X(prctl, int,                                                          \
	  (int option, unsigned long a, unsigned long b, unsigned long c,      \
	   unsigned long d))

/* What only user space can mend (guards.c). */
#define SS_GUARDS(X)                                                           \
	/* a blocking read must block: blocking.h; and: oddread.h */           \
	X(read, ssize_t, (int fd, void *buf, size_t len))                      \
	X(readv, ssize_t, (int fd, const struct iovec *iov, int n))            \
	X(recv, ssize_t, (int fd, void *buf, size_t len, int flags))           \
	X(recvfrom, ssize_t,                                                   \
	  (int fd, void *buf, size_t len, int flags, struct sockaddr *addr,    \
	   socklen_t *addr_len))                                               \
	X(recvmsg, ssize_t, (int fd, struct msghdr *msg, int flags))           \
	X(recvmmsg, int,                                                       \
	  (int fd, struct mmsghdr *msgs, unsigned int n, int flags,            \
	   struct timespec *timeout))                                          \
	X(__read_chk, ssize_t, (int fd, void *buf, size_t len, size_t size))   \
	X(__recv_chk, ssize_t,                                                 \
	  (int fd, void *buf, size_t len, size_t size, int flags))             \
	X(__recvfrom_chk, ssize_t,                                             \
	  (int fd, void *buf, size_t len, size_t size, int flags,              \
	   struct sockaddr *addr, socklen_t *addr_len))                        \
	/* and end as a signal's handler wants it: signals.h */                \
	X(sigaction, int,                                                      \
	  (int sig, const struct sigaction *act, struct sigaction *old))       \
	X(signal, sighandler_t, (int sig, sighandler_t handler))               \
	X(bsd_signal, sighandler_t, (int sig, sighandler_t handler))           \
	X(ssignal, sighandler_t, (int sig, sighandler_t handler))              \
	X(sysv_signal, sighandler_t, (int sig, sighandler_t handler))          \
	X(__sysv_signal, sighandler_t, (int sig, sighandler_t handler))        \
	X(siginterrupt, int, (int sig, int flag))                              \
	/* queues that only TCP's own calls look into: splice.h, unread.h */   \
	X(splice, ssize_t,                                                     \
	  (int in, off64_t *in_at, int out, off64_t *out_at, size_t len,       \
	   unsigned int flags))                                                \
	X(ioctl, int, (int fd, unsigned long request, ...))                    \
	X(sockatmark, int, (int fd))                                           \
	/* options that only TCP's own path honours: options.h */              \
	X(setsockopt, int,                                                     \
	  (int fd, int level, int name, const void *value, socklen_t len))     \
	/* urgent data, and nothing at all: oddsend.h */                       \
	X(write, ssize_t, (int fd, const void *buf, size_t len))               \
	X(writev, ssize_t, (int fd, const struct iovec *iov, int n))           \
	X(send, ssize_t, (int fd, const void *buf, size_t len, int flags))     \
	X(sendto, ssize_t,                                                     \
	  (int fd, const void *buf, size_t len, int flags,                     \
	   const struct sockaddr *addr, socklen_t addr_len))                   \
	X(sendmsg, ssize_t, (int fd, const struct msghdr *msg, int flags))     \
	X(sendmmsg, int,                                                       \
	  (int fd, struct mmsghdr *msgs, unsigned int n, int flags))           \
	X(sendfile, ssize_t, (int out, int in, off_t *at, size_t len))         \
	X(sendfile64, ssize_t, (int out, int in, off64_t *at, size_t len))

/* What may spin before it sleeps (waits.c): busypoll.h. */
#define SS_WAITS(X)                                                            \
	X(poll, int, (struct pollfd * fds, nfds_t n, int timeout))             \
	X(ppoll, int,                                                          \
	  (struct pollfd * fds, nfds_t n, const struct timespec *timeout,      \
	   const sigset_t *mask))                                              \
	X(__poll_chk, int,                                                     \
	  (struct pollfd * fds, nfds_t n, int timeout, size_t size))           \
	X(__ppoll_chk, int,                                                    \
	  (struct pollfd * fds, nfds_t n, const struct timespec *timeout,      \
	   const sigset_t *mask, size_t size))                                 \
	X(select, int,                                                         \
	  (int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *timeout))   \
	X(pselect, int,                                                        \
	  (int n, fd_set *r, fd_set *w, fd_set *e,                             \
	   const struct timespec *timeout, const sigset_t *mask))              \
	X(epoll_ctl, int, (int ep, int op, int fd, struct epoll_event *event)) \
	X(epoll_wait, int,                                                     \
	  (int ep, struct epoll_event *events, int n, int timeout))            \
	X(epoll_pwait, int,                                                    \
	  (int ep, struct epoll_event *events, int n, int timeout,             \
	   const sigset_t *mask))                                              \
	X(epoll_pwait2, int,                                                   \
	  (int ep, struct epoll_event *events, int n,                          \
	   const struct timespec *timeout, const sigset_t *mask))

/* An exported function; all others are hidden. */
#define HOOK __attribute__((visibility("default")))

#define SS_REAL_MEMBER(name, type, args) type(*name) args;
struct ss_real {
	SS_HOOKS(SS_REAL_MEMBER)
	SS_GUARDS(SS_REAL_MEMBER)
	SS_WAITS(SS_REAL_MEMBER)
};

/* The original of a hooked function, bound on first use. */
#define REAL(name)                                                             \
	({                                                                     \
		void *real_ = __atomic_load_n((void **)&ss_real.name,          \
					      __ATOMIC_RELAXED);               \
                                                                               \
		if (__builtin_expect(!real_, 0))                               \
			real_ = ss_real_bind((void **)&ss_real.name, #name);   \
		(__typeof__(ss_real.name))real_;                               \
	})

/*
 * All originals. Written by ss_real_bind() only, each member always with the
 * same value, so no lock; NULL until bound.
 */
extern struct ss_real ss_real;

/*
 * *@slot, after looking up @name behind us (RTLD_NEXT) if it is NULL. If the
 * C library has no such function, a stand-in that fails with ENOSYS.
 * Thread-safe; async-signal-safe once bound, and otherwise as far as dlsym(3)
 * is (where it finds the name, glibc's takes a recursive lock, and no memory).
 */
void *ss_real_bind(void **slot, const char *name);

/* Binds the whole list: when TCP is first used, so that no hook calls dlsym(3)
 * later. Each look-up costs every exec of every program otherwise. */
void ss_real_bind_all(void);

#endif
