/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "unread.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../bpf/key.h"
#include "enroll.h"
#include "hooks.h"
#include "options.h"
#include "runtime.h"
#include "unmerge.h"

/* More than the verdict lets wait: a share of the largest SO_RCVBUF by far. */
#define SS_REDIRECTED_MAX (16 << 20)

/* On this kernel FIONREAD knows nothing of what is in a psock. */
static bool psocks_are_uncounted(void)
{
	return ss_runtime_is_on() &&
	       !(ss_runtime.control->flags & (SS_MERGED | SS_COUNTS_PSOCK));
}

/* tcp_recv_urg() takes no error, and a psock that is not empty comes first. */
static bool is_before_error(int fd)
{
	return REAL(recv)(fd, NULL, 1,
			  MSG_OOB | MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT) < 0 &&
	       errno == EFAULT;
}

/* Then even a peek would take it. */
bool ss_unread_has_error(int fd)
{
	struct pollfd p = { .fd = fd };
	int bytes = 0;

	return REAL(poll)(&p, 1, 0) == 1 && p.revents & POLLERR &&
	       !REAL(ioctl)(fd, FIONREAD, &bytes) && !bytes &&
	       !(psocks_are_uncounted() && is_before_error(fd));
}

static enum ss_unread look(int fd)
{
	if (ss_unread_has_error(fd) ||
	    REAL(recv)(fd, NULL, 1, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT) >= 0)
		return SS_UNREAD_TCP;
	switch (errno) {
	case EAGAIN:
		return SS_UNREAD_NONE;
	case EFAULT:
		return SS_UNREAD_PSOCK;
	default:
		return SS_UNREAD_TCP;
	}
}

int ss_unread_peek_off(int fd)
{
	int offset = -1;
	socklen_t len = sizeof(offset);

	if (ss_options_used())
		REAL(getsockopt)(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, &len);
	return offset;
}

void ss_unread_set_peek_off(int fd, int offset)
{
	REAL(setsockopt)(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset));
}

/* A peek looks behind SO_PEEK_OFF, and moves it: set to 0 for a while. */
static int suspend_peek_off(int fd)
{
	int offset = ss_unread_peek_off(fd);

	if (offset >= 0)
		ss_unread_set_peek_off(fd, 0);
	return offset;
}

static void restore_peek_off(int fd, int offset)
{
	if (offset >= 0)
		ss_unread_set_peek_off(fd, offset);
}

enum ss_unread ss_unread(int fd)
{
	int offset = suspend_peek_off(fd);
	enum ss_unread where = look(fd);

	restore_peek_off(fd, offset);
	return where;
}

static int peek_all(int fd)
{
	int offset = suspend_peek_off(fd);
	ssize_t n = REAL(recv)(fd, NULL, 1 << 30,
			       MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);

	restore_peek_off(fd, offset);
	return (int)n;
}

static bool has_no_fin(int state)
{
	return state == TCP_ESTABLISHED || state == TCP_FIN_WAIT1 ||
	       state == TCP_FIN_WAIT2;
}

int ss_unread_by_tcp_of(const struct ss_key *key, bool *fin)
{
	bool v4 = ss_is_v4_mapped(key->local_ip);
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
	} ask = { .header = { .nlmsg_len = sizeof(ask),
			      .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			      .nlmsg_flags = NLM_F_REQUEST },
		  .request = { .sdiag_family = v4 ? AF_INET : AF_INET6,
			       .sdiag_protocol = IPPROTO_TCP,
			       .idiag_states = ~0U } };
	struct inet_diag_sockid *id = &ask.request.id;
	struct {
		struct nlmsghdr header;
		struct inet_diag_msg body;
		char rest[512];
	} answer;
	int result = -1;
	int nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (nl < 0)
		return -1;
	id->idiag_sport = htons(key->local_port);
	id->idiag_dport = htons(key->remote_port);
	memcpy(id->idiag_src, key->local_ip + (v4 ? 3 : 0), v4 ? 4 : 16);
	memcpy(id->idiag_dst, key->remote_ip + (v4 ? 3 : 0), v4 ? 4 : 16);
	id->idiag_cookie[0] = INET_DIAG_NOCOOKIE;
	id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	if (REAL(send)(nl, &ask, sizeof(ask), 0) == (ssize_t)sizeof(ask) &&
	    REAL(recv)(nl, &answer, sizeof(answer), 0) >=
		    (ssize_t)(sizeof(answer.header) + sizeof(answer.body)) &&
	    answer.header.nlmsg_type == SOCK_DIAG_BY_FAMILY) {
		*fin = !has_no_fin(answer.body.idiag_state);
		result = (int)answer.body.idiag_rqueue;
		if (*fin && result) /* which has a number, too */
			result--;
	}
	REAL(close)(nl);
	return result;
}

/*
 * With nowhere to map to, TCP_ZEROCOPY_RECEIVE says how much would have to be
 * read instead: up to a page, all that waits by sequence numbers.
 */
int ss_unread_by_tcp(int fd)
{
	struct tcp_zerocopy_receive zc = { 0, 0, 0 };
	socklen_t len = sizeof(zc);
	struct ss_key key;
	bool fin;

	if (!REAL(getsockopt)(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &zc, &len))
		return (int)zc.recv_skip_hint;
	if (errno == EIO) /* end of file */
		return 0;
	if (ss_enroll_is_registered(fd, &key))
		return ss_unread_by_tcp_of(&key, &fin);
	return -1;
}

bool ss_unread_none_by_tcp(int fd)
{
	int bytes = 0;

	if (ss_runtime_is_on() && ss_runtime.control->flags & SS_COUNTS_TCP)
		return !REAL(ioctl)(fd, FIONREAD, &bytes) && !bytes;
	return ss_unread_by_tcp(fd) == 0;
}

static void add_by_tcp(int fd, int *bytes)
{
	int by_tcp = ss_unread_by_tcp(fd);

	/* TCP gives bytes before the error that is behind them. */
	if (ss_unread_has_error(fd) ? by_tcp <= 0 && ss_key_has_queue(fd)
				    : by_tcp < 0)
		by_tcp = peek_all(fd);
	if (by_tcp > 0)
		*bytes += by_tcp;
}

/* The psock's bytes are counted by nothing but a peek that copies them. */
static void add_redirected(int fd, int *bytes)
{
	static char nowhere[65536]; /* written by any thread, read by none */
	struct iovec iov[SS_REDIRECTED_MAX / sizeof(nowhere)];
	struct msghdr msg = { .msg_iov = iov,
			      .msg_iovlen = sizeof(iov) / sizeof(iov[0]) };
	ssize_t n;

	if (ss_unread(fd) != SS_UNREAD_PSOCK)
		return;
	for (size_t i = 0; i < msg.msg_iovlen; i++)
		iov[i] = (struct iovec){ nowhere, sizeof(nowhere) };
	n = REAL(recvmsg)(fd, &msg, MSG_PEEK | MSG_DONTWAIT);
	if (n > 0)
		*bytes += (int)n;
}

/* The self-test has found out what this kernel counts. */
static void count_both(int fd, int *bytes)
{
	unsigned int counts =
		ss_runtime.control->flags & (SS_COUNTS_PSOCK | SS_COUNTS_TCP);

	if (!counts)
		*bytes = 0;
	if (!(counts & SS_COUNTS_PSOCK))
		add_redirected(fd, bytes);
	if (!(counts & SS_COUNTS_TCP))
		add_by_tcp(fd, bytes);
}

void ss_unread_complete(int fd, int *bytes)
{
	int saved_errno = errno;

	if (*bytes ? !ss_unmerge_any() : !ss_runtime_is_on())
		return;
	if (!ss_key_is_tcp(fd))
		goto out;
	/* After a reset a socket is not found in the map. */
	if (ss_unmerge_has_two(fd))
		count_both(fd, bytes);
	else if (psocks_are_uncounted())
		add_redirected(fd, bytes);
	/* What was there before accept(2) is merged by the first look at it. */
	else if (!*bytes && ss_unread(fd) == SS_UNREAD_TCP)
		add_by_tcp(fd, bytes);
	else if (!*bytes)
		REAL(ioctl)(fd, FIONREAD, bytes);
out:
	errno = saved_errno;
}

void ss_unread_at_mark(int fd, int *at)
{
	int saved_errno = errno;

	/* Whoever sent urgent data to it may have taken it out of merging. */
	if (*at && ss_runtime_is_on() && ss_key_is_tcp(fd) &&
	    ss_unread(fd) == SS_UNREAD_PSOCK)
		*at = 0;
	errno = saved_errno;
}

/*
 * Whether nothing of what tcp_zerocopy_receive() will see is merged; if that
 * cannot be told, it is better not asked to map anything.
 */
static bool may_be_mapped(int fd, const struct tcp_zerocopy_receive *zc)
{
	struct ss_key key;

	if (!zc->address || ss_runtime_is_disabled())
		return true;
	if (!ss_runtime_on_for(fd) || ss_key_of_socket(fd, false, &key))
		return false;
	return !ss_enroll_is_registered(fd, &key) ||
	       (ss_unmerge_has_two(fd) && ss_unread(fd) != SS_UNREAD_PSOCK);
}

int ss_unread_zerocopy(int fd, void *value, socklen_t *len)
{
	struct tcp_zerocopy_receive *zc = value;
	int bytes = 0;

	if (!zc || !len || *len < sizeof(*zc) || may_be_mapped(fd, zc))
		return REAL(getsockopt)(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE,
					value, len);
	if (REAL(ioctl)(fd, FIONREAD, &bytes))
		return -1;
	ss_unread_complete(fd, &bytes);
	memset(zc + 1, 0, *len - sizeof(*zc));
	zc->length = 0;
	zc->recv_skip_hint = (uint32_t)bytes;
	if (bytes || !ss_unread_has_fin(fd))
		return 0;
	errno = EIO;
	return -1;
}

bool ss_unread_has_fin(int fd)
{
	struct tcp_info info = { .tcpi_state = TCP_ESTABLISHED };
	socklen_t len = sizeof(info);

	if (REAL(getsockopt)(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return false;
	return !has_no_fin(info.tcpi_state);
}

bool ss_unread_has_ended(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	return REAL(poll)(&p, 1, 0) == 1 &&
	       p.revents & (POLLRDHUP | POLLERR | POLLHUP);
}
