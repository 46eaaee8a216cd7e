/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The exported functions that mend what the kernel does differently with a
 * socket in a sockmap. Each calls the original with the program's own
 * arguments, and does more only where that is not what TCP would have done.
 */
#include "hooks.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <sys/sendfile.h>

#include "../bpf/key.h"
#include "blocking.h"
#include "busypoll.h"
#include "emptyread.h"
#include "oddread.h"
#include "oddsend.h"
#include "options.h"
#include "runtime.h"
#include "splice.h"
#include "unmerge.h"
#include "unread.h"
#include "worth.h"

/* The read family: the original, and if need be recvmsg(2) to go on. */

static ssize_t go_on_with(struct ss_blocking *b, int fd,
			  const struct iovec *iov, size_t n_iov, int flags)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov,
			      .msg_iovlen = n_iov };

	return ss_blocking_go_on(b, fd, &msg, flags);
}

/*
 * A read that begins in the psock, of a socket that may have more in TCP's own
 * queue, behind that: see ss_oddread_across(). Where that is rare a system call
 * tells before; else it is looked for behind what was read.
 */
static __attribute__((noinline)) bool may_cross_slowly(
	int fd, enum ss_crossing crossing)
{
	int saved_errno;
	bool crosses;

	if (crossing == SS_CROSSING_ALWAYS)
		return ss_blocking_generation(fd) & SS_GENERATION_TCP;
	saved_errno = errno;
	crosses = ss_key_is_tcp(fd) && ss_unread(fd) == SS_UNREAD_PSOCK;
	errno = saved_errno;
	return crosses;
}

static inline bool may_cross(int fd, int flags)
{
	enum ss_crossing crossing = ss_unmerge_crosses();

	return __builtin_expect(crossing != SS_CROSSING_NEVER, 0) &&
	       !(flags & MSG_PEEK) && may_cross_slowly(fd, crossing);
}

static ssize_t cross(int fd, const struct iovec *iov, size_t n_iov, ssize_t n)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov,
			      .msg_iovlen = n_iov };

	return n > 0 ? ss_oddread_across(fd, &msg, n) : n;
}

/* False: the read ends at once, with errno. */
static inline bool may_begin(int fd, int flags)
{
	return !ss_emptyread_is_vain(fd, flags) &&
	       ss_busypoll_before_read(fd, flags);
}

/* @n, what the original has returned. */
static inline ssize_t after_busy_read(int fd, int flags, ssize_t n)
{
	return ss_emptyread_after(fd, flags, ss_busypoll_after_read(n));
}

static inline ssize_t after_read(int fd, int flags, ssize_t n)
{
	ss_worth_after_read(fd, flags, n);
	return after_busy_read(fd, flags, n);
}

HOOK ssize_t read(int fd, void *buf, size_t len)
{
	SS_WORTH_READS(fd);
	const struct iovec iov = { buf, len };
	struct ss_blocking b;
	bool crosses;
	ssize_t n;

	if (!may_begin(fd, 0))
		return -1;
	crosses = may_cross(fd, 0);
	ss_blocking_begin(&b, fd);
	n = after_read(fd, 0, REAL(read)(fd, buf, len));
	if (ss_blocking_concerns(n, 0))
		n = go_on_with(&b, fd, &iov, 1, 0);
	return crosses ? cross(fd, &iov, 1, n) : n;
}

HOOK ssize_t readv(int fd, const struct iovec *iov, int n_iov)
{
	SS_WORTH_READS(fd);
	struct ss_blocking b;
	bool crosses;
	ssize_t n;

	if (!may_begin(fd, 0))
		return -1;
	crosses = may_cross(fd, 0);
	ss_blocking_begin(&b, fd);
	n = after_read(fd, 0, REAL(readv)(fd, iov, n_iov));
	if (ss_blocking_concerns(n, 0))
		n = go_on_with(&b, fd, iov, (size_t)n_iov, 0);
	return crosses ? cross(fd, iov, (size_t)n_iov, n) : n;
}

ssize_t ss_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct ss_blocking b;
	ssize_t n;

	ss_blocking_begin(&b, fd);
	n = after_read(fd, flags, REAL(recvmsg)(fd, msg, flags));
	if (ss_blocking_concerns(n, flags))
		n = ss_blocking_go_on(&b, fd, msg, flags);
	return n;
}

static ssize_t recvmsg_oddly(int fd, struct msghdr *msg, int flags)
{
	ssize_t n = ss_oddread(fd, msg, flags);

	ss_worth_after_odd_read(fd, flags, n);
	return n;
}

HOOK ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	SS_WORTH_READS(fd);
	bool crosses;
	ssize_t n;

	if (ss_oddread_concerns(1, flags) && msg && ss_runtime_on_for(fd))
		return recvmsg_oddly(fd, msg, flags);
	if (!may_begin(fd, flags))
		return -1;
	crosses = may_cross(fd, flags);
	n = ss_recvmsg(fd, msg, flags);
	if (n > 0 && msg->msg_controllen)
		ss_worth_received(msg);
	/* Only now it is known that @msg can be read. */
	if (!n)
		return ss_oddread_nothing(fd, msg, flags);
	return crosses && n > 0 ? ss_oddread_across(fd, msg, n) : n;
}

HOOK int recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n_msgs, int flags,
		  struct timespec *timeout)
{
	SS_WORTH_READS(fd);
	struct ss_blocking b;
	bool went_on = false;
	int n, more;

	if (ss_oddread_concerns(1, flags) && msgs && ss_runtime_on_for(fd)) {
		n = ss_oddread_many(fd, msgs, n_msgs, flags, timeout, false);
		ss_worth_after_odd_read(fd, flags, n);
		return n;
	}
	if (!may_begin(fd, flags))
		return -1;
	ss_blocking_begin(&b, fd);
	n = REAL(recvmmsg)(fd, msgs, n_msgs, flags, timeout);
	ss_worth_after_odd_read(fd, flags, n);
	n = (int)after_busy_read(fd, flags, n);
	for (int i = 0; i < n; i++) {
		if (msgs[i].msg_hdr.msg_controllen)
			ss_worth_received(&msgs[i].msg_hdr);
	}
	if (ss_blocking_concerns(n, flags)) {
		ssize_t len = ss_blocking_go_on(&b, fd, &msgs->msg_hdr,
						flags & ~MSG_WAITFORONE);

		if (len < 0)
			return -1;
		msgs->msg_len = (unsigned int)len;
		n = 1;
		went_on = true;
		b.signals = ss_signals; /* those before have restarted it */
	}
	/* A later one of them was woken for nothing, or is still to be read. */
	if (n > 0 && (unsigned int)n < n_msgs && !timeout &&
	    !(went_on && b.over) && b.signals.all == ss_signals.all &&
	    !(flags & MSG_DONTWAIT) && (went_on || !(flags & MSG_WAITFORONE)) &&
	    ss_runtime_is_on() && ss_key_is_tcp(fd)) {
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
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
	ssize_t n = recvmsg_oddly(fd, &msg, flags);

	if (n >= 0 && addr_len)
		*addr_len = msg.msg_namelen;
	return n;
}

HOOK ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	SS_WORTH_READS(fd);
	const struct iovec iov = { buf, len };
	struct ss_blocking b;
	bool crosses;
	ssize_t n;

	if (ss_oddread_concerns(len, flags) && ss_runtime_on_for(fd))
		return recvfrom_oddly(fd, buf, len, flags, NULL, NULL);
	if (!may_begin(fd, flags))
		return -1;
	crosses = may_cross(fd, flags);
	ss_blocking_begin(&b, fd);
	n = after_read(fd, flags, REAL(recv)(fd, buf, len, flags));
	if (ss_blocking_concerns(n, flags))
		n = go_on_with(&b, fd, &iov, 1, flags);
	return crosses ? cross(fd, &iov, 1, n) : n;
}

HOOK ssize_t recvfrom(int fd, void *buf, size_t len, int flags,
		      struct sockaddr *addr, socklen_t *addr_len)
{
	SS_WORTH_READS(fd);
	const struct iovec iov = { buf, len };
	struct ss_blocking b;
	bool crosses;
	ssize_t n;

	if (ss_oddread_concerns(len, flags) && ss_runtime_on_for(fd))
		return recvfrom_oddly(fd, buf, len, flags, addr, addr_len);
	if (!may_begin(fd, flags))
		return -1;
	crosses = may_cross(fd, flags);
	ss_blocking_begin(&b, fd);
	n = after_read(fd, flags,
		       REAL(recvfrom)(fd, buf, len, flags, addr, addr_len));
	if (ss_blocking_concerns(n, flags)) {
		n = go_on_with(&b, fd, &iov, 1, flags);
		if (n >= 0 && addr && addr_len)
			*addr_len = 0; /* TCP gives no address here */
	}
	return crosses ? cross(fd, &iov, 1, n) : n;
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
	ssize_t n;

	if (ss_worth_floods(fd, len))
		return REAL(write)(fd, buf, len);
	ss_oddsend_before(fd, 0);
	n = REAL(write)(fd, buf, len);
	return ss_oddsend_after(fd, n, 0);
}

HOOK ssize_t writev(int fd, const struct iovec *iov, int n_iov)
{
	ssize_t n;

	ss_oddsend_before(fd, 0);
	n = REAL(writev)(fd, iov, n_iov);
	/* A vector of no bytes never comes to the socket. */
	return n ? ss_oddsend_after(fd, n, 0) : 0;
}

HOOK ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	ssize_t n;

	if (!(flags & MSG_OOB) && ss_worth_floods(fd, len))
		return REAL(send)(fd, buf, len, flags);
	ss_oddsend_before(fd, flags);
	n = REAL(send)(fd, buf, len, flags);
	return ss_oddsend_after(fd, n, flags);
}

HOOK ssize_t sendto(int fd, const void *buf, size_t len, int flags,
		    const struct sockaddr *addr, socklen_t addr_len)
{
	ssize_t n;

	if (!(flags & MSG_OOB) && ss_worth_floods(fd, len))
		return REAL(sendto)(fd, buf, len, flags, addr, addr_len);
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

	return n ? ss_oddsend_after(out, n, 0) : 0;
}

HOOK ssize_t sendfile64(int out, int in, off64_t *at, size_t len)
{
	ssize_t n = REAL(sendfile64)(out, in, at, len);

	return n ? ss_oddsend_after(out, n, 0) : 0;
}

static ssize_t splice_from(int in, int out, size_t len, unsigned int flags)
{
	SS_WORTH_READS(in);
	ssize_t n = ss_splice(in, out, len, flags);

	ss_worth_after_odd_read(in, 0, n);
	return n;
}

HOOK ssize_t splice(int in, off64_t *in_at, int out, off64_t *out_at,
		    size_t len, unsigned int flags)
{
	ssize_t n;

	if (out_at)
		return REAL(splice)(in, in_at, out, out_at, len, flags);
	if (in_at) {
		n = REAL(splice)(in, in_at, out, out_at, len, flags);
		return n ? ss_oddsend_after(out, n, 0) : 0;
	}
	n = splice_from(in, out, len, flags);
	return n ? ss_oddsend_after(out, n, 0) : 0;
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
