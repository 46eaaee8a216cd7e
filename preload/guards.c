/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The exported functions that mend what the kernel does differently with a
 * socket in a sockmap. Each calls the original with the program's own
 * arguments, and does more only where that is not what TCP would have done.
 */
#include "hooks.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <pthread.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>

#include "../bpf/key.h"
#include "blocking.h"
#include "oddread.h"
#include "oddsend.h"
#include "options.h"
#include "runtime.h"
#include "splice.h"
#include "unmerge.h"
#include "unread.h"
#include "uring.h"

/* The read family: the original, until TCP would have returned. */
#define READ_UNTIL(type, name, flags, args)                                    \
	do {                                                                   \
		struct ss_blocking b = SS_BLOCKING_NONE;                       \
		volatile int at = fd; /* beside setjmp() in the push */        \
		ssize_t n;                                                     \
                                                                               \
		ss_blocking_begin(&b, fd);                                     \
		n = REAL(name) args;                                           \
		if (!ss_blocking_concerns(n, flags))                           \
			return (type)n;                                        \
		pthread_cleanup_push(ss_blocking_end, &b);                     \
		while (ss_blocking_concerns(n, flags) &&                       \
		       ss_blocking_repeat(&b, fd, &n)) {                       \
			at = b.fd;                                             \
			n = REAL(name) args;                                   \
		}                                                              \
		pthread_cleanup_pop(1);                                        \
		return (type)n;                                                \
	} while (0)

/*
 * A read that begins in the psock, of a socket that may have more in TCP's own
 * queue, behind that: see ss_oddread_across().
 */
static bool may_cross(int fd, int flags)
{
	return __builtin_expect(ss_unmerge_here(), 0) && !(flags & MSG_PEEK) &&
	       ss_unread(fd) == SS_UNREAD_PSOCK;
}

static ssize_t cross(int fd, void *buf, size_t len, ssize_t n)
{
	struct iovec iov = { buf, len };
	const struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return n > 0 ? ss_oddread_across(fd, &msg, n) : n;
}

static ssize_t guarded_read(int fd, void *buf, size_t len)
{
	READ_UNTIL(ssize_t, read, 0, (at, buf, len));
}

HOOK ssize_t read(int fd, void *buf, size_t len)
{
	if (may_cross(fd, 0))
		return cross(fd, buf, len, guarded_read(fd, buf, len));
	return guarded_read(fd, buf, len);
}

static ssize_t guarded_readv(int fd, const struct iovec *iov, int n_iov)
{
	READ_UNTIL(ssize_t, readv, 0, (at, iov, n_iov));
}

HOOK ssize_t readv(int fd, const struct iovec *iov, int n_iov)
{
	const struct msghdr msg = { .msg_iov = (struct iovec *)iov,
				    .msg_iovlen = (size_t)n_iov };
	bool crosses = may_cross(fd, 0);
	ssize_t n = guarded_readv(fd, iov, n_iov);

	return crosses && n > 0 ? ss_oddread_across(fd, &msg, n) : n;
}

ssize_t ss_recvmsg(int fd, struct msghdr *msg, int flags)
{
	READ_UNTIL(ssize_t, recvmsg, flags, (at, msg, flags));
}

HOOK ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	bool crosses;
	ssize_t n;

	if (ss_oddread_concerns(1, flags))
		return ss_oddread(fd, msg, flags);
	crosses = may_cross(fd, flags);
	n = ss_recvmsg(fd, msg, flags);
	/* Only now it is known that @msg can be read. */
	if (!n)
		return ss_oddread_nothing(fd, msg, flags);
	return crosses && n > 0 ? ss_oddread_across(fd, msg, n) : n;
}

static int guarded_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n_msgs,
			    int flags, struct timespec *timeout)
{
	READ_UNTIL(int, recvmmsg, flags, (at, msgs, n_msgs, flags, timeout));
}

HOOK int recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n_msgs, int flags,
		  struct timespec *timeout)
{
	unsigned int signals = ss_signals.all;
	int n, more;

	if (ss_oddread_concerns(1, flags) && ss_runtime_is_on() &&
	    ss_key_is_tcp(fd))
		return ss_oddread_many(fd, msgs, n_msgs, flags, timeout, false);
	n = guarded_recvmmsg(fd, msgs, n_msgs, flags, timeout);
	/* A later one of them was woken for nothing. */
	if (n > 0 && (unsigned int)n < n_msgs && !timeout &&
	    signals == ss_signals.all &&
	    !(flags & (MSG_DONTWAIT | MSG_WAITFORONE)) && ss_runtime_is_on() &&
	    ss_key_is_tcp(fd)) {
		more = ss_oddread_many(fd, msgs + n, n_msgs - (unsigned int)n,
				       flags, NULL, true);
		n += more > 0 ? more : 0;
	}
	return n;
}

static ssize_t recvfrom_oddly(int fd, void *buf, size_t len, int flags,
			      struct sockaddr *addr, socklen_t *addr_len)
{
	struct iovec iov = { buf, len };
	struct msghdr msg = { .msg_name = addr,
			      .msg_namelen = addr_len ? *addr_len : 0,
			      .msg_iov = &iov,
			      .msg_iovlen = 1 };
	ssize_t n = ss_oddread(fd, &msg, flags);

	if (n >= 0 && addr_len)
		*addr_len = msg.msg_namelen;
	return n;
}

static ssize_t guarded_recv(int fd, void *buf, size_t len, int flags)
{
	READ_UNTIL(ssize_t, recv, flags, (at, buf, len, flags));
}

HOOK ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	if (ss_oddread_concerns(len, flags))
		return recvfrom_oddly(fd, buf, len, flags, NULL, NULL);
	if (may_cross(fd, flags))
		return cross(fd, buf, len, guarded_recv(fd, buf, len, flags));
	return guarded_recv(fd, buf, len, flags);
}

static ssize_t guarded_recvfrom(int fd, void *buf, size_t len, int flags,
				struct sockaddr *addr, socklen_t *addr_len)
{
	READ_UNTIL(ssize_t, recvfrom, flags,
		   (at, buf, len, flags, addr, addr_len));
}

HOOK ssize_t recvfrom(int fd, void *buf, size_t len, int flags,
		      struct sockaddr *addr, socklen_t *addr_len)
{
	if (ss_oddread_concerns(len, flags))
		return recvfrom_oddly(fd, buf, len, flags, addr, addr_len);
	if (may_cross(fd, flags))
		return cross(fd, buf, len,
			     guarded_recvfrom(fd, buf, len, flags, addr,
					      addr_len));
	return guarded_recvfrom(fd, buf, len, flags, addr, addr_len);
}

/* What _FORTIFY_SOURCE makes of them; declared in no public header. */
ssize_t __read_chk(int fd, void *buf, size_t len, size_t size);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t size, int flags,
		       struct sockaddr *addr, socklen_t *addr_len);

/* The originals end the program if @len exceeds @size; else they are these. */
HOOK ssize_t __read_chk(int fd, void *buf, size_t len, size_t size)
{
	if (len > size)
		return REAL(__read_chk)(fd, buf, len, size);
	return read(fd, buf, len);
}

HOOK ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags)
{
	if (len > size)
		return REAL(__recv_chk)(fd, buf, len, size, flags);
	return recv(fd, buf, len, flags);
}

HOOK ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t size,
			    int flags, struct sockaddr *addr,
			    socklen_t *addr_len)
{
	if (len > size)
		return REAL(__recvfrom_chk)(fd, buf, len, size, flags, addr,
					    addr_len);
	return recvfrom(fd, buf, len, flags, addr, addr_len);
}

HOOK ssize_t write(int fd, const void *buf, size_t len)
{
	ssize_t n = REAL(write)(fd, buf, len);

	return ss_oddsend_after(fd, n, 0);
}

HOOK ssize_t writev(int fd, const struct iovec *iov, int n_iov)
{
	ssize_t n = REAL(writev)(fd, iov, n_iov);

	/* A vector of no bytes never comes to the socket. */
	return n ? ss_oddsend_after(fd, n, 0) : 0;
}

HOOK ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	ssize_t n;

	ss_oddsend_before(fd, flags);
	n = REAL(send)(fd, buf, len, flags);
	return ss_oddsend_after(fd, n, flags);
}

HOOK ssize_t sendto(int fd, const void *buf, size_t len, int flags,
		    const struct sockaddr *addr, socklen_t addr_len)
{
	ssize_t n;

	ss_oddsend_before(fd, flags);
	n = REAL(sendto)(fd, buf, len, flags, addr, addr_len);
	return ss_oddsend_after(fd, n, flags);
}

HOOK ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	ssize_t n;

	ss_oddsend_before(fd, flags);
	n = REAL(sendmsg)(fd, msg, flags);
	return ss_oddsend_after(fd, n, flags);
}

HOOK int sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags)
{
	int sent;

	ss_oddsend_before(fd, flags);
	sent = REAL(sendmmsg)(fd, msgs, n, flags);
	return ss_oddsend_many(fd, sent, n, sent > 0 && !msgs[0].msg_len,
			       flags);
}

HOOK ssize_t sendfile(int out, int in, off_t *at, size_t len)
{
	ssize_t n = REAL(sendfile)(out, in, at, len);

	return n < 0 ? ss_oddsend_result(out, n, 0) : n;
}

HOOK ssize_t sendfile64(int out, int in, off64_t *at, size_t len)
{
	ssize_t n = REAL(sendfile64)(out, in, at, len);

	return n < 0 ? ss_oddsend_result(out, n, 0) : n;
}

HOOK ssize_t splice(int in, off64_t *in_at, int out, off64_t *out_at,
		    size_t len, unsigned int flags)
{
	ssize_t n;

	if (out_at)
		return REAL(splice)(in, in_at, out, out_at, len, flags);
	if (in_at) {
		n = REAL(splice)(in, in_at, out, out_at, len, flags);
		return n < 0 ? ss_oddsend_result(out, n, 0) : n;
	}
	n = ss_splice(in, out, len, flags);
	return n < 0 ? ss_oddsend_result(out, n, 0) : n;
}

HOOK int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;
	int result;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	result = REAL(ioctl)(fd, request, arg);
	if (request == FIONREAD && !result)
		ss_unread_complete(fd, arg);
	else if (request == SIOCATMARK && !result)
		ss_unread_at_mark(fd, arg);
	return result;
}

HOOK int sockatmark(int fd)
{
	int at = REAL(sockatmark)(fd);

	if (at > 0)
		ss_unread_at_mark(fd, &at);
	return at;
}

HOOK int setsockopt(int fd, int level, int name, const void *value,
		    socklen_t len)
{
	return ss_options_set(fd, level, name, value, len);
}

HOOK int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	return ss_signals_action(sig, act, old);
}

HOOK sighandler_t signal(int sig, sighandler_t handler)
{
	return ss_signals_bsd(sig, handler);
}

HOOK sighandler_t bsd_signal(int sig, sighandler_t handler)
{
	return ss_signals_bsd(sig, handler);
}

HOOK sighandler_t ssignal(int sig, sighandler_t handler)
{
	return ss_signals_bsd(sig, handler);
}

HOOK sighandler_t sysv_signal(int sig, sighandler_t handler)
{
	return ss_signals_signal(sig, handler, (int)SA_RESETHAND | SA_NODEFER);
}

sighandler_t __sysv_signal(int sig, sighandler_t handler);
HOOK sighandler_t __sysv_signal(int sig, sighandler_t handler)
{
	return ss_signals_signal(sig, handler, (int)SA_RESETHAND | SA_NODEFER);
}

HOOK int siginterrupt(int sig, int flag)
{
	return ss_signals_interrupt(sig, flag);
}

/*
 * Not declared as syscall(2) is, but called with the same registers: so it is
 * left by a jump, and may be called to fork.
 */
HOOK long ss_syscall(long n, long a, long b, long c, long d, long e,
		     long f) __asm__("syscall");
HOOK long ss_syscall(long n, long a, long b, long c, long d, long e, long f)
{
	if (__builtin_expect(n == SYS_io_uring_setup, 0))
		ss_uring_seen();
	return REAL(syscall)(n, a, b, c, d, e, f);
}

/* liburing's; declared in its own headers only. */
int io_uring_setup(unsigned int n, void *params);
int io_uring_queue_init(unsigned int n, void *ring, unsigned int flags);
int io_uring_queue_init_params(unsigned int n, void *ring, void *params);
int io_uring_queue_init_mem(unsigned int n, void *ring, void *params, void *buf,
			    size_t size);

HOOK int io_uring_setup(unsigned int n, void *params)
{
	ss_uring_seen();
	return REAL(io_uring_setup)(n, params);
}

HOOK int io_uring_queue_init(unsigned int n, void *ring, unsigned int flags)
{
	ss_uring_seen();
	return REAL(io_uring_queue_init)(n, ring, flags);
}

HOOK int io_uring_queue_init_params(unsigned int n, void *ring, void *params)
{
	ss_uring_seen();
	return REAL(io_uring_queue_init_params)(n, ring, params);
}

HOOK int io_uring_queue_init_mem(unsigned int n, void *ring, void *params,
				 void *buf, size_t size)
{
	ss_uring_seen();
	return REAL(io_uring_queue_init_mem)(n, ring, params, buf, size);
}
