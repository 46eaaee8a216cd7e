/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Data integrity stress: both ends of many TCP connections send streams that
 * can be checked byte by byte, in as many ways as programs do, while their
 * sockets enter the sockhash at any moment. Nothing may be damaged, reordered,
 * lost or duplicated, and nothing may hang.
 *
 * Who registers is up to the caller: a preloaded shim, a cgroup program, or
 * with --register this program itself, at moments taken from the seed.
 *
 * Everything an end does is derived from the seed and the connection number,
 * so a failure can be run again (thread timing aside).
 *
 * The summary counts streams (each connection has two): corrupted are those
 * with damaged, foreign or reordered bytes, lost those with bytes missing at
 * end of file, duplicated those with bytes read twice. errors counts all
 * else: failed calls, stalls, connections not completed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../bpf/abi.h"
#include "stream.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* include/uapi/asm-generic/socket.h, 5.14 */
#endif

#define MAX_OP	      65536 /* bytes in one send or receive */
#define MAX_IOV	      4
#define SMALL_SEGMENT 536 /* with a small receive buffer */
#define STALL_SECONDS 15
#define TICK_MS	      100
#define STACK_SIZE    (256 * 1024)

enum side {
	CLIENT,
	SERVER
};
static const char *const side_name[] = { "client", "server" };

enum family {
	V4,
	V6,
	MAPPED,
	NR_FAMILIES
};

/* How an end learns that it can read. */
enum wait {
	WAIT_BLOCK,    /* blocking calls */
	WAIT_DONTWAIT, /* blocking descriptor, MSG_DONTWAIT, poll */
	WAIT_POLL,     /* non-blocking descriptor, poll */
	WAIT_EDGE,     /* non-blocking, edge-triggered epoll, drained */
	NR_WAITS
};

enum tx_way {
	TX_SEND,
	TX_WRITE,
	TX_WRITEV,
	TX_SENDMSG,
	NR_TX,
	TX_ANY = NR_TX
};
enum rx_way {
	RX_RECV,
	RX_READ,
	RX_READV,
	RX_PEEK,
	NR_RX,
	RX_ANY = NR_RX
};

/* When an end says that it has sent everything. */
enum finish {
	SHUT_SENT,     /* shutdown after its last byte */
	SHUT_RECEIVED, /* shutdown when it has every byte of the peer as well */
	CLOSE_RECEIVED, /* close then, without reading end of file */
	SHUT_EOF,	/* shutdown after reading end of file */
	CLOSE_EOF,	/* close after reading end of file */
};

/* When an end is registered. */
enum when {
	REG_FIRST,
	REG_AFTER,
	REG_THREAD,
	REG_NEVER
};

struct rng {
	uint64_t state;
};

/* What one end does. */
struct script {
	uint64_t total; /* bytes to send */
	enum wait wait;
	enum tx_way tx_way;
	enum rx_way rx_way;
	enum finish finish;
	enum when when;
	size_t tx_max; /* largest send */
	size_t rx_max;
	size_t turn_max;  /* largest message, if the ends take turns */
	bool two_threads; /* one sends, one receives; else one does both */
	bool poll_first;  /* poll before receiving, not only after EAGAIN */
	bool more;	  /* MSG_MORE now and then */
	bool nodelay;
	int rcvbuf; /* 0: the system's */
	int sndbuf;
	int pauses;	   /* at most so many, for sender and receiver each */
	uint64_t stall_at; /* the reader sleeps long here; UINT64_MAX: never */
	unsigned int register_after; /* REG_AFTER: sends and receives */
	unsigned int register_usecs; /* REG_THREAD: delay */
};

/* What a connection does; both ends derive the same from its number. */
struct plan {
	enum family family;
	bool v6_client;	  /* MAPPED: the client socket is AF_INET6 too */
	bool nonblocking; /* connect */
	bool turns;	  /* request and response; else both ends at once */
	struct script end[2];
};

/* One connection, as seen by both processes. Directions as in enum side. */
struct conn {
	atomic_ullong sent[2];
	atomic_ullong received[2];
	atomic_bool aborted; /* failed: its ends give up, silently */
	atomic_int finished; /* ends */
	sem_t server_done;
};

struct options {
	unsigned int conns;
	unsigned int first; /* -o: only this connection */
	unsigned int parallel;
	uint64_t seed;
	uint64_t max_bytes;
	int family; /* -1: mixed */
	unsigned int timeout;
	bool fork;
	bool verbose;
	bool race;	     /* see guard() */
	const char *pin_dir; /* NULL: somebody else registers */
	char replay[64];     /* what plans depend on, as options */
};

/* Shared between the processes of a run. */
struct shared {
	atomic_uint next; /* connection to start */
	atomic_uint completed;
	atomic_uint workers; /* running client threads */
	atomic_uint servers; /* running server ends */
	atomic_ullong bytes;
	atomic_uint corrupted, lost, duplicated, errors;
	atomic_uint registered, busy, late, spurious;
	atomic_bool stop;

	/*
	 * How a server end learns its connection number without a byte on the
	 * wire: client port -> number + 1, for each listener.
	 */
	atomic_uint by_port[NR_FAMILIES][65536];
	struct conn conn[];
};

/* One end of a connection. Owned by its thread except where noted. */
struct end {
	unsigned int no;
	enum side side;
	atomic_int fd; /* closed under live.lock; -1: none yet */
	int epfd;
	bool turns;
	struct script s;
	struct conn *conn;
	struct stream out;
	struct audit in;
	struct rng tx; /* the messages: nothing else, so they repeat */
	struct rng tx_aux, rx;
	bool shut;
	bool eof;
	int tx_pauses, rx_pauses;
	uint64_t sent, received;

	/* The message being sent, which may take several calls. */
	size_t message;
	enum tx_way message_way;
	int message_flags;

	atomic_uint ops;	   /* sends and receives */
	pthread_mutex_t receiving; /* see guard() */

	/* Under live.lock. */
	struct end *next, **prev;
	pthread_t thread, reader;
	bool has_reader;
	unsigned long long progress; /* of the connection, when last seen */
	time_t progress_at;

	uint8_t tx_buf[MAX_OP], rx_buf[MAX_OP], peek_buf[MAX_OP];
};

/*
 * All global state. Everything is set before the first thread or fork and then
 * only read (the members of shared are atomic), except live: the ends in this
 * process, for the watchdog.
 */
static struct options opt = {
	.conns = 1000,
	.parallel = 8,
	.max_bytes = 256 * 1024,
	.family = -1,
	.timeout = 120,
};
static struct shared *shared;
static struct stream_space space;
static int sockhash = -1, merged = -1;
static int listeners[NR_FAMILIES];
static uint16_t ports[NR_FAMILIES];
static struct {
	pthread_mutex_t lock;
	struct end *first;
} live = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Seconds, unimpressed by changes of the date. */
static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* Random numbers */

static uint64_t rnd(struct rng *r)
{
	r->state += STREAM_GOLDEN_STEP;
	return stream_mix(r->state);
}

static uint64_t below(struct rng *r, uint64_t n)
{
	return rnd(r) % n;
}

static bool one_in(struct rng *r, unsigned int n)
{
	return below(r, n) == 0;
}

/* Each purpose has its own numbers; for the last three, each side. */
enum purpose {
	RNG_PLAN,
	RNG_TX,
	RNG_RX = RNG_TX + 2,
	RNG_TURN = RNG_RX + 2
};

static struct rng rng_of(unsigned int no, unsigned int purpose, uint64_t extra)
{
	struct rng r = { stream_mix(opt.seed) };

	r.state = rnd(&r) + no;
	r.state = rnd(&r) + purpose;
	r.state = rnd(&r) + extra;
	return r;
}

/* 1..max: each order of magnitude as likely as the others. */
static uint64_t log_uniform(struct rng *r, uint64_t max)
{
	unsigned int bits = 64 - __builtin_clzll(max);
	uint64_t n = 1ull << below(r, bits);

	n += below(r, n);
	return n < max ? n : max;
}

/* 1..max, mostly small, often a power of two or its neighbour. */
static uint64_t pick_size(struct rng *r, uint64_t max)
{
	uint64_t n;

	switch (below(r, 8)) {
	case 0:
	case 1:
		n = 1ull << below(r, 64 - __builtin_clzll(max));
		n = n + below(r, 3) - 1;
		break;
	case 2:
		n = 1 + below(r, 16);
		break;
	case 3:
		n = 1 + below(r, max);
		break;
	default:
		n = log_uniform(r, max);
	}
	return n < 1 ? 1 : n > max ? max : n;
}

static uint64_t pick_total(struct rng *r)
{
	if (!opt.max_bytes)
		return 0;
	switch (below(r, 8)) {
	case 0:
		return 0;
	case 1:
	case 2:
		return below(r, opt.max_bytes < 16 ? opt.max_bytes : 16) + 1;
	case 3:
		return below(r, opt.max_bytes + 1);
	default:
		return pick_size(r, opt.max_bytes);
	}
}

/* Reporting */

/* One write each, so lines of threads and processes do not mix. */
static void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...)
{
	char line[768];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

static void die(const char *what)
{
	say("integrity: %s: %s", what, strerror(errno));
	_exit(1);
}

/* Ends the connection with one error, whoever is first to see it. */
static void conn_fail(struct end *e, const char *what, int err)
{
	const struct conn *c = e->conn;

	if (atomic_exchange(&e->conn->aborted, true))
		return;
	atomic_fetch_add(&shared->errors, 1);
	say("FAIL conn=%u end=%s: %s%s%s; client sent %llu, server received "
	    "%llu; server sent %llu, client received %llu "
	    "(replay: %s -o %u)",
	    e->no, side_name[e->side], what, err ? ": " : "",
	    err ? strerror(err) : "", c->sent[CLIENT], c->received[CLIENT],
	    c->sent[SERVER], c->received[SERVER], opt.replay, e->no);
}

/* What became of the stream that this end read. */
static void judge(struct end *e)
{
	struct audit *a = &e->in;
	bool aborted = e->conn->aborted;

	audit_end(a, e->eof && !aborted);
	if (!audit_bad(a))
		return;
	if (a->unknown || a->foreign || a->reordered)
		atomic_fetch_add(&shared->corrupted, 1);
	if (a->lost)
		atomic_fetch_add(&shared->lost, 1);
	if (a->duplicated)
		atomic_fetch_add(&shared->duplicated, 1);
	say("FAIL conn=%u dir=%s>%s %s; of %llu bytes %llu reordered, "
	    "%llu lost, %llu duplicated, %llu foreign, %llu unknown "
	    "(replay: %s -o %u)",
	    e->no, side_name[!e->side], side_name[e->side], a->first,
	    (unsigned long long)a->s.total, (unsigned long long)a->reordered,
	    (unsigned long long)a->lost, (unsigned long long)a->duplicated,
	    (unsigned long long)a->foreign, (unsigned long long)a->unknown,
	    opt.replay, e->no);
}

/* Plans */

static int pick_buffer(struct rng *r)
{
	static const int sizes[] = { 4096, 8192, 16384, 32768, 65536 };

	return one_in(r, 6) ? sizes[below(r, 5)] : 0;
}

/* Largest of several calls that move @total: not thousands of them. */
static size_t pick_largest(struct rng *r, uint64_t total)
{
	uint64_t n = total / 256 + log_uniform(r, MAX_OP);

	return n < MAX_OP ? n : MAX_OP;
}

static void plan_register(struct rng *r, struct script *s)
{
	unsigned int when = below(r, 10);

	s->when = when < 3   ? REG_FIRST
		  : when < 6 ? REG_AFTER
		  : when < 9 ? REG_THREAD
			     : REG_NEVER;
	s->register_after = log_uniform(r, 64);
	s->register_usecs = log_uniform(r, 4096);
}

static void plan_end(struct rng *r, struct script *s, const struct script *peer,
		     bool turns)
{
	plan_register(r, s);
	s->tx_max = pick_largest(r, s->total);
	s->rx_max = pick_largest(r, peer->total);
	/* One turn is a request and its response. */
	s->turn_max = one_in(r, 3) ? s->total + 1 : pick_largest(r, s->total);
	s->tx_way = below(r, NR_TX + 1);
	s->rx_way = below(r, NR_RX + 1);
	s->wait = below(r, NR_WAITS);
	/* One thread that blocks in send while its peer does the same would
	 * wait for ever: both queues are full. */
	s->two_threads = !turns && (s->wait == WAIT_BLOCK || one_in(r, 3));
	s->poll_first = one_in(r, 3);
	s->more = one_in(r, 6);
	/* Nagle's algorithm and delayed acknowledgements: 40 ms per turn. */
	s->nodelay = one_in(r, 3) || (turns && s->total / s->turn_max > 2);
	s->rcvbuf = pick_buffer(r);
	s->sndbuf = pick_buffer(r);
	s->stall_at = one_in(r, 20) ? below(r, peer->total + 1) : UINT64_MAX;
	s->pauses = one_in(r, 4) ? below(r, 6) : 0;

	/*
	 * A reader that sleeps in tcp_recvmsg() while its socket is inserted
	 * goes on watching TCP's queue only, and is not woken by what is
	 * redirected. The kernel has no remedy; whoever registers must not
	 * let it happen. So such an end receives only what is there: guard().
	 */
	if ((s->when == REG_AFTER && s->two_threads) || s->when == REG_THREAD)
		s->poll_first = true;
}

/* One end must be the first to end, or both wait for ever. */
static void plan_finish(struct rng *r, struct plan *p)
{
	enum side first = below(r, 2);

	p->end[first].finish = SHUT_SENT + below(r, 3);
	switch (below(r, 3)) {
	case 0:
		p->end[!first].finish = SHUT_SENT;
		break;
	case 1:
		p->end[!first].finish = SHUT_EOF;
		break;
	default:
		p->end[!first].finish = CLOSE_EOF;
	}
}

static void plan_make(struct plan *p, unsigned int no)
{
	struct rng r = rng_of(no, RNG_PLAN, 0);

	memset(p, 0, sizeof(*p));
	p->family = below(&r, NR_FAMILIES);
	if (opt.family >= 0)
		p->family = opt.family;
	p->v6_client = one_in(&r, 2);
	p->nonblocking = one_in(&r, 3);
	p->turns = below(&r, 10) < 4;
	p->end[CLIENT].total = pick_total(&r);
	p->end[SERVER].total = pick_total(&r);
	plan_end(&r, &p->end[CLIENT], &p->end[SERVER], p->turns);
	plan_end(&r, &p->end[SERVER], &p->end[CLIENT], p->turns);
	plan_finish(&r, p);
}

/* The length of one end's nth message; both ends know it. */
static uint64_t turn_length(const struct end *e, enum side from, uint64_t turn,
			    size_t max)
{
	struct rng r = rng_of(e->no, RNG_TURN + from, turn);

	return pick_size(&r, max);
}

/* Registration */

static int sys_bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static int open_map(const char *dir, const char *name)
{
	union bpf_attr attr;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	memset(&attr, 0, sizeof(attr));
	attr.pathname = (uintptr_t)path;
	return sys_bpf(BPF_OBJ_GET, &attr);
}

static int netns_of(int fd, __u64 *netns)
{
	socklen_t len = sizeof(*netns);
	struct stat st;

	if (!getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, netns, &len))
		return 0;
	if (errno != ENOPROTOOPT || stat("/proc/self/ns/net", &st))
		return -1;
	*netns = st.st_ino; /* as with SS_NETNS_INODE */
	return 0;
}

static void key_half(const struct sockaddr_storage *sa, __u32 ip[4],
		     __u16 *port)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;

	if (sa->ss_family == AF_INET) {
		ip[2] = SS_V4_MAPPED;
		ip[3] = v4->sin_addr.s_addr;
		*port = ntohs(v4->sin_port);
	} else {
		memcpy(ip, &v6->sin6_addr, 16);
		*port = ntohs(v6->sin6_port);
	}
}

static int key_of(int fd, struct ss_key *key)
{
	struct sockaddr_storage local, remote;
	socklen_t len = sizeof(local);

	memset(key, 0, sizeof(*key));
	if (getsockname(fd, (struct sockaddr *)&local, &len))
		return -1;
	len = sizeof(remote);
	if (getpeername(fd, (struct sockaddr *)&remote, &len))
		return -1;
	key_half(&local, key->local_ip, &key->local_port);
	key_half(&remote, key->remote_ip, &key->remote_port);
	if (ss_is_loopback(key->local_ip) || ss_is_loopback(key->remote_ip))
		return netns_of(fd, &key->netns);
	return 0;
}

static bool is_established(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	       info.tcpi_state == TCP_ESTABLISHED;
}

/* Whatever comes of it, the connection must go on as if nothing happened. */
static void end_register(struct end *e)
{
	__u64 value = e->fd;
	union bpf_attr attr;
	struct ss_key key;
	int err;

	if (sockhash < 0)
		return;
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = sockhash;
	attr.key = (uintptr_t)&key;
	attr.value = (uintptr_t)&value;
	attr.flags = BPF_NOEXIST;
	pthread_mutex_lock(&e->receiving); /* see guard() */
	err = key_of(e->fd, &key) || sys_bpf(BPF_MAP_UPDATE_ELEM, &attr) ? errno
									 : 0;
	if (!err && merged >= 0) {
		attr.map_fd = merged;
		sys_bpf(BPF_MAP_UPDATE_ELEM, &attr);
	}
	pthread_mutex_unlock(&e->receiving);
	if (!err) {
		atomic_fetch_add(&shared->registered, 1);
		return;
	}
	if (err == EBUSY || err == EEXIST) {
		atomic_fetch_add(&shared->busy, 1);
	} else if ((err == EOPNOTSUPP || err == ENOTCONN) &&
		   !is_established(e->fd)) {
		atomic_fetch_add(&shared->late, 1);
	} else {
		atomic_fetch_add(&shared->errors, 1);
		say("FAIL conn=%u end=%s: register: %s (replay: %s -o %u)",
		    e->no, side_name[e->side], strerror(err), opt.replay,
		    e->no);
	}
}

static void *register_thread(void *arg)
{
	struct end *e = arg;

	usleep(e->s.register_usecs);
	end_register(e);
	return NULL;
}

/* Counts a send or a receive; the chosen one registers. */
static void count_op(struct end *e)
{
	unsigned int n = atomic_fetch_add(&e->ops, 1) + 1;

	if (e->s.when == REG_AFTER && n == e->s.register_after)
		end_register(e);
}

/* One send, one receive. They return whether there was progress. */

static void end_break(struct end *e, const char *what, int err)
{
	conn_fail(e, what, err);
	/* The other thread of this end may be blocked. */
	shutdown(e->fd, SHUT_RDWR);
}

static bool broken(const struct end *e)
{
	return e->conn->aborted;
}

static bool is_nonblocking(const struct end *e)
{
	return e->s.wait == WAIT_POLL || e->s.wait == WAIT_EDGE;
}

/* Whether this end's sends must not block, though the descriptor does. */
static bool sends_dontwait(const struct end *e)
{
	return e->s.wait == WAIT_DONTWAIT && !e->s.two_threads && !e->turns;
}

static void maybe_pause(struct rng *r, int *pauses)
{
	if (*pauses && one_in(r, 16)) {
		--*pauses;
		usleep(below(r, 3000));
	}
}

/* Waits without a time limit: a wake-up that is missing must be seen. */
static void wait_poll(struct end *e, short events)
{
	struct pollfd p = { .fd = e->fd, .events = events };

	if (!broken(e) && poll(&p, 1, -1) < 0 && errno != EINTR)
		end_break(e, "poll", errno);
}

static void wait_edge(struct end *e)
{
	struct epoll_event ev[2];

	if (!broken(e) && epoll_wait(e->epfd, ev, 2, -1) < 0 && errno != EINTR)
		end_break(e, "epoll_wait", errno);
}

static void wait_readable(struct end *e)
{
	if (e->s.wait == WAIT_EDGE)
		wait_edge(e);
	else
		wait_poll(e, POLLIN);
}

/* Cuts @len bytes into pieces, of which some may be empty. */
static int cut(struct rng *r, uint8_t *p, size_t len, struct iovec *iov)
{
	int i, n = 1 + below(r, MAX_IOV);

	for (i = 0; i < n; i++) {
		iov[i].iov_base = p;
		iov[i].iov_len = i == n - 1 ? len : below(r, len + 1);
		p += iov[i].iov_len;
		len -= iov[i].iov_len;
	}
	return n;
}

static void new_message(struct end *e, uint64_t target)
{
	e->message = pick_size(&e->tx, e->s.tx_max);
	e->message_way =
		e->s.tx_way == TX_ANY ? below(&e->tx, NR_TX) : e->s.tx_way;
	e->message_flags = 0;
	if (sends_dontwait(e)) {
		/* write and writev have no flags */
		if (e->message_way == TX_WRITE)
			e->message_way = TX_SEND;
		if (e->message_way == TX_WRITEV)
			e->message_way = TX_SENDMSG;
		e->message_flags = MSG_DONTWAIT;
	}
	if (e->s.more && one_in(&e->tx, 4))
		e->message_flags |= MSG_MORE;
	/* Whoever waits for an answer does not hold back the question. */
	if (e->message >= target - e->sent) {
		e->message = target - e->sent;
		e->message_flags &= ~MSG_MORE;
	}
}

static ssize_t send_message(struct end *e)
{
	struct iovec iov[MAX_IOV];
	struct msghdr msg = { .msg_iov = iov };
	size_t n = e->message;

	stream_fill(&e->out, e->sent, e->tx_buf, n);
	switch (e->message_way) {
	case TX_WRITE:
		return write(e->fd, e->tx_buf, n);
	case TX_WRITEV:
		return writev(e->fd, iov, cut(&e->tx_aux, e->tx_buf, n, iov));
	case TX_SENDMSG:
		msg.msg_iovlen = cut(&e->tx_aux, e->tx_buf, n, iov);
		return sendmsg(e->fd, &msg, e->message_flags | MSG_NOSIGNAL);
	default:
		return send(e->fd, e->tx_buf, n, e->message_flags);
	}
}

/* Sends a bit of what is left up to @target. */
static bool send_step(struct end *e, uint64_t target)
{
	ssize_t n;

	maybe_pause(&e->tx_aux, &e->tx_pauses);
	if (!e->message)
		new_message(e, target);
	n = send_message(e);
	if (n > 0) {
		e->message -= n;
		e->sent += n;
		atomic_store(&e->conn->sent[e->side], e->sent);
		count_op(e);
		return true;
	}
	if (!n)
		end_break(e, "send returned 0", 0);
	else if (errno == EAGAIN && !is_nonblocking(e) && !sends_dontwait(e))
		end_break(e, "blocking send", errno);
	else if (errno != EAGAIN && errno != EINTR)
		end_break(e, "send", errno);
	return false;
}

/*
 * A receive that is called before its socket is inserted and gets the socket's
 * lock after that is in tcp_recvmsg(): it takes what came by TCP, or end of
 * file, ahead of what was redirected in between. The kernel has no remedy for
 * this either, so here too whoever registers must not let it happen.
 */
static bool guard(struct end *e)
{
	bool may_sleep = e->s.wait == WAIT_BLOCK && !e->s.poll_first;

	if (sockhash < 0 || opt.race || may_sleep)
		return false;
	pthread_mutex_lock(&e->receiving);
	return true;
}

static void unguard(struct end *e, bool guarded)
{
	int err = errno;

	if (guarded)
		pthread_mutex_unlock(&e->receiving);
	errno = err;
}

static ssize_t recv_once(struct end *e, enum rx_way way, uint8_t *p,
			 size_t size, int flags)
{
	struct iovec iov[MAX_IOV];
	struct msghdr msg = { .msg_iov = iov };
	bool guarded = guard(e);
	ssize_t n;

	if (way == RX_READV)
		msg.msg_iovlen = cut(&e->rx, p, size, iov);
	if (way == RX_READ && !flags)
		n = read(e->fd, p, size);
	else if (way == RX_READV && !flags)
		n = readv(e->fd, iov, msg.msg_iovlen);
	else if (way == RX_READV)
		n = recvmsg(e->fd, &msg, flags);
	else
		n = recv(e->fd, p, size, flags);
	unguard(e, guarded);
	return n;
}

static ssize_t recv_some(struct end *e, size_t size)
{
	int flags = e->s.wait == WAIT_DONTWAIT ? MSG_DONTWAIT : 0;
	enum rx_way way = e->s.rx_way;
	ssize_t n, peeked;

	if (way == RX_ANY)
		way = below(&e->rx, NR_RX);
	if (way != RX_PEEK)
		return recv_once(e, way, e->rx_buf, size, flags);

	peeked = recv_once(e, way, e->peek_buf, size, flags | MSG_PEEK);
	if (peeked <= 0)
		return peeked;
	n = recv_once(e, way, e->rx_buf, peeked, flags);
	if (n <= 0) {
		end_break(e, n ? "recv after peek" : "end of file after peek",
			  n ? errno : 0);
	} else if (memcmp(e->rx_buf, e->peek_buf, n)) {
		atomic_fetch_add(&shared->corrupted, 1);
		end_break(e, "recv returned other bytes than peek", 0);
	}
	return n;
}

static void received(struct end *e, size_t n)
{
	audit_feed(&e->in, e->rx_buf, n);
	e->received += n;
	atomic_store(&e->conn->received[!e->side], e->received);
	count_op(e);
	if (e->received >= e->s.stall_at) {
		e->s.stall_at = UINT64_MAX;
		usleep(20000 + below(&e->rx, 30000));
	}
}

/* Receives something, or end of file. */
static bool recv_step(struct end *e)
{
	ssize_t n;

	maybe_pause(&e->rx, &e->rx_pauses);
	n = recv_some(e, pick_size(&e->rx, e->s.rx_max));
	if (n > 0) {
		received(e, n);
		return true;
	}
	if (!n) {
		e->eof = true;
		return true;
	}
	if (errno == EAGAIN && e->s.wait == WAIT_BLOCK) {
		/*
		 * tcp_bpf_recvmsg() gives up when woken without data, as by
		 * our own shutdown. Hiding that is the shim's task; where we
		 * register by ourselves nobody does.
		 */
		atomic_fetch_add(&shared->spurious, 1);
		if (sockhash < 0)
			end_break(e, "blocking receive", errno);
	} else if (errno != EAGAIN && errno != EINTR) {
		end_break(e, "receive", errno);
	}
	return false;
}

/* Whole transfers */

static void end_shutdown(struct end *e)
{
	if (e->shut || broken(e))
		return;
	e->shut = true;
	if (shutdown(e->fd, SHUT_WR))
		end_break(e, "shutdown", errno);
}

/* Call it whenever bytes were sent: for some ends that was the last one. */
static void check_sent(struct end *e)
{
	if (e->sent == e->s.total && e->s.finish == SHUT_SENT)
		end_shutdown(e);
}

static void send_until(struct end *e, uint64_t target)
{
	while (e->sent < target && !broken(e)) {
		if (!send_step(e, target))
			wait_poll(e, POLLOUT);
	}
	check_sent(e);
}

static void recv_until(struct end *e, uint64_t target)
{
	while (e->received < target && !e->eof && !broken(e)) {
		if (e->s.poll_first && e->s.wait != WAIT_EDGE)
			wait_poll(e, POLLIN);
		if (!recv_step(e) && e->s.wait != WAIT_BLOCK)
			wait_readable(e);
	}
}

static void *reader_thread(void *arg)
{
	struct end *e = arg;

	recv_until(e, e->in.s.total);
	pthread_mutex_lock(&live.lock);
	e->has_reader = false;
	pthread_mutex_unlock(&live.lock);
	return NULL;
}

static void transfer_two_threads(struct end *e)
{
	pthread_t reader;
	int err;

	pthread_mutex_lock(&live.lock);
	err = pthread_create(&reader, NULL, reader_thread, e);
	e->reader = reader;
	e->has_reader = !err;
	pthread_mutex_unlock(&live.lock);
	if (err) {
		end_break(e, "pthread_create", err);
		return;
	}
	send_until(e, e->s.total);
	pthread_join(reader, NULL);
}

/* Request and response: each end knows how long the other's messages are. */
static void transfer_turns(struct end *e, size_t peer_turn_max)
{
	uint64_t out = 0, in = 0, turn, n;

	check_sent(e);
	for (turn = 0; out < e->s.total || in < e->in.s.total; turn++) {
		n = turn_length(e, e->side, turn, e->s.turn_max);
		out = n < e->s.total - out ? out + n : e->s.total;
		n = turn_length(e, !e->side, turn, peer_turn_max);
		in = n < e->in.s.total - in ? in + n : e->in.s.total;
		if (e->side == CLIENT)
			send_until(e, out);
		recv_until(e, in);
		if (e->side == SERVER)
			send_until(e, out);
		if (broken(e) || (e->eof && e->received < in))
			break;
	}
}

/* Both directions at once in one thread, as event loops do. */
static void transfer_loop(struct end *e)
{
	bool moved, tx, rx;

	check_sent(e);
	while (!broken(e)) {
		tx = e->sent < e->s.total;
		rx = e->received < e->in.s.total && !e->eof;
		if (!tx && !rx)
			break;
		if (e->s.poll_first && e->s.wait != WAIT_EDGE)
			wait_poll(e, (rx ? POLLIN : 0) | (tx ? POLLOUT : 0));
		moved = false;
		if (rx)
			moved |= recv_step(e);
		if (tx && !(rx && one_in(&e->rx, 4)))
			moved |= send_step(e, e->s.total);
		else if (tx)
			moved = true; /* not tried: do not sleep */
		check_sent(e);
		if (moved)
			continue;
		if (e->s.wait == WAIT_EDGE)
			wait_edge(e);
		else
			wait_poll(e, (rx ? POLLIN : 0) | (tx ? POLLOUT : 0));
	}
}

static void finish(struct end *e)
{
	if (e->s.finish == SHUT_RECEIVED)
		end_shutdown(e);
	if (e->s.finish == CLOSE_RECEIVED)
		return;
	recv_until(e, UINT64_MAX);
	if (e->s.finish == SHUT_EOF)
		end_shutdown(e);
}

/* The life of an end */

static void live_add(struct end *e)
{
	pthread_mutex_lock(&live.lock);
	e->thread = pthread_self();
	e->progress_at = now();
	e->next = live.first;
	e->prev = &live.first;
	if (e->next)
		e->next->prev = &e->next;
	live.first = e;
	pthread_mutex_unlock(&live.lock);
}

/* Under the lock, or the watchdog might shut down somebody else's socket. */
static void live_close(struct end *e)
{
	pthread_mutex_lock(&live.lock);
	*e->prev = e->next;
	if (e->next)
		e->next->prev = e->prev;
	if (e->fd >= 0)
		close(e->fd);
	pthread_mutex_unlock(&live.lock);
}

static void set_option(struct end *e, int level, int name, int value)
{
	if (setsockopt(e->fd, level, name, &value, sizeof(value)))
		end_break(e, "setsockopt", errno);
}

static void set_buffers(struct end *e)
{
	if (e->s.rcvbuf)
		set_option(e, SOL_SOCKET, SO_RCVBUF, e->s.rcvbuf);
	if (e->s.sndbuf)
		set_option(e, SOL_SOCKET, SO_SNDBUF, e->s.sndbuf);
}

static struct end *end_new(unsigned int no, enum side side,
			   const struct plan *plan)
{
	struct end *e = calloc(1, sizeof(*e));
	const struct script *peer = &plan->end[!side];

	if (!e)
		die("calloc");
	e->no = no;
	e->side = side;
	e->fd = -1;
	e->epfd = -1;
	pthread_mutex_init(&e->receiving, NULL);
	e->turns = plan->turns;
	e->s = plan->end[side];
	e->conn = &shared->conn[no - opt.first];
	e->tx_pauses = e->s.pauses;
	e->rx_pauses = e->s.pauses;
	e->out = (struct stream){ &space, no, side, e->s.total };
	e->in.s = (struct stream){ &space, no, !side, peer->total };
	e->tx = rng_of(no, RNG_TX + side, 0);
	e->tx_aux = rng_of(no, RNG_TX + side, 1);
	e->rx = rng_of(no, RNG_RX + side, 0);
	return e;
}

static void end_prepare(struct end *e)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
	int on = is_nonblocking(e);

	if (ioctl(e->fd, FIONBIO, &on))
		end_break(e, "FIONBIO", errno);
	if (e->s.nodelay)
		set_option(e, IPPROTO_TCP, TCP_NODELAY, 1);
	if (e->s.wait != WAIT_EDGE)
		return;
	if (!e->s.two_threads && !e->turns)
		ev.events |= EPOLLOUT;
	e->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (e->epfd < 0 || epoll_ctl(e->epfd, EPOLL_CTL_ADD, e->fd, &ev))
		end_break(e, "epoll", errno);
}

/* Everything from the connected socket to its close. */
static void end_run(struct end *e, const struct plan *plan)
{
	pthread_t registrar;
	bool joinable = false;

	if (e->s.when == REG_FIRST)
		end_register(e);
	end_prepare(e);
	if (e->s.when == REG_THREAD)
		joinable =
			!pthread_create(&registrar, NULL, register_thread, e);
	if (e->s.two_threads)
		transfer_two_threads(e);
	else if (e->turns)
		transfer_turns(e, plan->end[!e->side].turn_max);
	else
		transfer_loop(e);
	finish(e);
	if (joinable)
		pthread_join(registrar, NULL);
}

static void end_free(struct end *e)
{
	judge(e);
	live_close(e);
	if (e->epfd >= 0)
		close(e->epfd);
	atomic_fetch_add(&shared->bytes, e->received);
	if (atomic_fetch_add(&e->conn->finished, 1) == 1 && !broken(e))
		atomic_fetch_add(&shared->completed, 1);
	free(e);
}

/* Servers */

static socklen_t loopback(struct sockaddr_storage *sa, bool v6,
			  const struct in6_addr *addr, uint16_t port)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)sa;
	struct sockaddr_in *sin = (struct sockaddr_in *)sa;

	memset(sa, 0, sizeof(*sa));
	if (v6) {
		sin6->sin6_family = AF_INET6;
		sin6->sin6_addr = *addr;
		sin6->sin6_port = htons(port);
		return sizeof(*sin6);
	}
	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin->sin_port = htons(port);
	return sizeof(*sin);
}

static void listen_on(enum family family)
{
	struct sockaddr_storage sa;
	struct in6_addr addr = family == V6 ? in6addr_loopback : in6addr_any;
	socklen_t len = loopback(&sa, family != V4, &addr, 0);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int off = 0;

	if (fd < 0 ||
	    (family == MAPPED &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off))) ||
	    bind(fd, (struct sockaddr *)&sa, len) || listen(fd, 1024))
		die("listen");
	len = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &len))
		die("getsockname");
	ports[family] =
		ntohs(family == V4 ? ((struct sockaddr_in *)&sa)->sin_port
				   : ((struct sockaddr_in6 *)&sa)->sin6_port);
	listeners[family] = fd;
}

static uint16_t port_of(const struct sockaddr_storage *sa)
{
	__u32 ip[4];
	__u16 port;

	key_half(sa, ip, &port);
	return port;
}

/* The client publishes its number as soon as it knows its port. */
static bool take_number(enum family family, uint16_t port, unsigned int *no)
{
	unsigned int value = 0;
	int i;

	for (i = 0; i < 100000 && !value; i++) {
		value = atomic_exchange(&shared->by_port[family][port], 0);
		if (!value)
			usleep(50);
		if (atomic_load(&shared->stop))
			break;
	}
	*no = value - 1;
	return value;
}

struct accepted {
	int fd;
	enum family family;
	uint16_t port;
};

static void *server_thread(void *arg)
{
	struct accepted a = *(struct accepted *)arg;
	struct conn *conn;
	struct plan plan;
	struct end *e;
	unsigned int no;

	free(arg);
	if (!take_number(a.family, a.port, &no)) {
		say("integrity: a connection from a stranger");
		close(a.fd);
		goto out;
	}
	plan_make(&plan, no);
	e = end_new(no, SERVER, &plan);
	e->fd = a.fd;
	conn = e->conn;
	live_add(e);
	set_buffers(e);
	end_run(e, &plan);
	end_free(e);
	sem_post(&conn->server_done);
out:
	atomic_fetch_sub(&shared->servers, 1);
	return NULL;
}

static void start_thread(void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_create(&thread, &attr, run, arg);
	pthread_attr_destroy(&attr);
	if (err) {
		errno = err;
		die("pthread_create");
	}
}

static void accept_one(enum family family, bool accept4_too)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct accepted *a;
	int fd;

	if (accept4_too)
		fd = accept4(listeners[family], (struct sockaddr *)&sa, &len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
	else
		fd = accept(listeners[family], (struct sockaddr *)&sa, &len);
	if (fd < 0) {
		if (errno != EINTR && errno != ECONNABORTED)
			die("accept");
		return;
	}
	a = malloc(sizeof(*a));
	if (!a)
		die("malloc");
	*a = (struct accepted){ fd, family, port_of(&sa) };
	atomic_fetch_add(&shared->servers, 1);
	start_thread(server_thread, a);
}

static void *accept_thread(void *arg)
{
	struct pollfd p[NR_FAMILIES];
	unsigned int turn = 0;
	int i;

	for (i = 0; i < NR_FAMILIES; i++)
		p[i] = (struct pollfd){ .fd = listeners[i], .events = POLLIN };
	while (!atomic_load(&shared->stop)) {
		if (poll(p, NR_FAMILIES, TICK_MS) <= 0)
			continue;
		for (i = 0; i < NR_FAMILIES; i++) {
			if (p[i].revents)
				accept_one(i, turn++ % 2);
		}
	}
	return arg;
}

/* Clients */

static void publish(struct end *e, enum family family)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(e->fd, (struct sockaddr *)&sa, &len))
		end_break(e, "getsockname", errno);
	else
		atomic_store(&shared->by_port[family][port_of(&sa)], e->no + 1);
}

static void client_connect(struct end *e, const struct plan *p)
{
	bool v6 = p->family == V6 || (p->family == MAPPED && p->v6_client);
	struct in6_addr addr = in6addr_loopback;
	struct sockaddr_storage sa;
	socklen_t len;
	int err = 0;

	if (p->family == MAPPED)
		inet_pton(AF_INET6, "::ffff:127.0.0.1", &addr);
	len = loopback(&sa, v6, &addr, ports[p->family]);
	e->fd = socket(sa.ss_family,
		       SOCK_STREAM | SOCK_CLOEXEC |
			       (p->nonblocking ? SOCK_NONBLOCK : 0),
		       0);
	if (e->fd < 0) {
		end_break(e, "socket", errno);
		return;
	}
	set_buffers(e);
	/* Loopback's segments are larger than such a buffer: without this
	 * most of them would wait for a timer. */
	if (p->end[CLIENT].rcvbuf || p->end[SERVER].rcvbuf)
		set_option(e, IPPROTO_TCP, TCP_MAXSEG, SMALL_SEGMENT);
	if (connect(e->fd, (struct sockaddr *)&sa, len)) {
		if (errno != EINPROGRESS) {
			end_break(e, "connect", errno);
			return;
		}
		wait_poll(e, POLLOUT);
		len = sizeof(err);
		if (getsockopt(e->fd, SOL_SOCKET, SO_ERROR, &err, &len) || err)
			end_break(e, "non-blocking connect", err);
	}
	publish(e, p->family);
}

/* Not for ever: a connection that failed early may have no server end. */
static void wait_server(struct conn *conn)
{
	struct timespec until;
	int patience = 3;

	do {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		if (!sem_timedwait(&conn->server_done, &until))
			return;
	} while (!atomic_load(&conn->aborted) || --patience);
}

static void *client_thread(void *arg)
{
	unsigned int no, last = opt.first + opt.conns;
	struct conn *conn;
	struct plan plan;
	struct end *e;

	while ((no = atomic_fetch_add(&shared->next, 1)) < last) {
		plan_make(&plan, no);
		e = end_new(no, CLIENT, &plan);
		conn = e->conn;
		live_add(e);
		client_connect(e, &plan);
		if (!broken(e))
			end_run(e, &plan);
		end_free(e);
		wait_server(conn);
	}
	atomic_fetch_sub(&shared->workers, 1);
	return arg;
}

/* The watchdog */

static unsigned long long progress_of(struct conn *c)
{
	return c->sent[0] + c->sent[1] + c->received[0] + c->received[1];
}

/* Wakes the threads of an end that has failed, wherever they sleep. */
static void kick(struct end *e)
{
	if (e->fd >= 0)
		shutdown(e->fd, SHUT_RDWR);
	pthread_kill(e->thread, SIGUSR1);
	if (e->has_reader)
		pthread_kill(e->reader, SIGUSR1);
}

/* With what the kernel believes to be waiting, the best hint there is. */
static void fail_stalled(struct end *e)
{
	int unread = -1, unsent = -1;
	char what[80];

	if (e->fd >= 0) {
		ioctl(e->fd, FIONREAD, &unread);
		ioctl(e->fd, TIOCOUTQ, &unsent);
	}
	snprintf(what, sizeof(what), "stalled with FIONREAD %d, SIOCOUTQ %d",
		 unread, unsent);
	conn_fail(e, what, 0);
}

static void watch(void)
{
	unsigned long long progress;
	struct end *e;

	pthread_mutex_lock(&live.lock);
	for (e = live.first; e; e = e->next) {
		progress = progress_of(e->conn);
		if (progress != e->progress) {
			e->progress = progress;
			e->progress_at = now();
		} else if (now() - e->progress_at >= STALL_SECONDS) {
			fail_stalled(e);
		}
		if (broken(e))
			kick(e);
	}
	pthread_mutex_unlock(&live.lock);
}

static void print_unfinished(void)
{
	struct end *e;

	pthread_mutex_lock(&live.lock);
	for (e = live.first; e; e = e->next)
		conn_fail(e, "not finished in time", 0);
	pthread_mutex_unlock(&live.lock);
}

/* The whole run */

/* Returns whether it was all good. */
static bool summary(void)
{
	if (opt.verbose || shared->spurious)
		say("integrity: already registered %u, too late to register "
		    "%u, blocking receives that returned EAGAIN %u",
		    shared->busy, shared->late, shared->spurious);
	printf("connections=%u bytes=%llu corrupted=%u lost=%u duplicated=%u "
	       "errors=%u registered=%u\n",
	       shared->completed, shared->bytes, shared->corrupted,
	       shared->lost, shared->duplicated, shared->errors,
	       shared->registered);
	fflush(stdout);
	return !shared->corrupted && !shared->lost && !shared->duplicated &&
	       !shared->errors && shared->completed == opt.conns;
}

static void ignore(int sig)
{
	(void)sig;
}

static void set_signals(void)
{
	struct sigaction sa = { .sa_handler = ignore }; /* no SA_RESTART */

	sigaction(SIGUSR1, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void serve(time_t deadline)
{
	alarm(opt.timeout + 10);
	start_thread(accept_thread, NULL);
	while (!atomic_load(&shared->stop) || atomic_load(&shared->servers)) {
		usleep(TICK_MS * 1000);
		watch();
		if (now() >= deadline) {
			print_unfinished();
			_exit(1);
		}
	}
	_exit(0);
}

static pid_t fork_server(time_t deadline)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		die("fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	serve(deadline);
	return 0;
}

static void check_server(pid_t server)
{
	int status;

	if (waitpid(server, &status, WNOHANG) != server)
		return;
	say("FAIL the server process ended with status 0x%x", status);
	atomic_fetch_add(&shared->errors, 1);
	summary();
	_exit(1);
}

static bool run(void)
{
	time_t deadline = now() + opt.timeout;
	pid_t server = 0;
	unsigned int i;

	if (opt.fork)
		server = fork_server(deadline + 5); /* we report first */
	else
		start_thread(accept_thread, NULL);
	alarm(opt.timeout + 10); /* should the watchdog itself hang */
	atomic_store(&shared->workers, opt.parallel);
	for (i = 0; i < opt.parallel; i++)
		start_thread(client_thread, NULL);
	while (atomic_load(&shared->workers) || atomic_load(&shared->servers)) {
		usleep(TICK_MS * 1000);
		watch();
		if (server)
			check_server(server);
		if (now() < deadline)
			continue;
		say("FAIL time limit of %u seconds", opt.timeout);
		print_unfinished();
		if (server)
			kill(server, SIGKILL);
		summary();
		_exit(1);
	}
	atomic_store(&shared->stop, true);
	if (server)
		waitpid(server, NULL, 0);
	return summary();
}

static void set_up(void)
{
	size_t size = sizeof(*shared) + opt.conns * sizeof(struct conn);
	unsigned int i;

	space = (struct stream_space){
		.seed = opt.seed,
		.max = opt.max_bytes,
		.conns = opt.first + opt.conns,
	};
	shared = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	shared->next = opt.first;
	for (i = 0; i < opt.conns; i++)
		sem_init(&shared->conn[i].server_done, 1, 0);
	for (i = 0; i < NR_FAMILIES; i++) {
		listeners[i] = -1;
		if (opt.family < 0 || opt.family == (int)i)
			listen_on(i);
	}
	if (!opt.pin_dir)
		return;
	sockhash = open_map(opt.pin_dir, SS_MAP_SOCKHASH);
	if (sockhash < 0)
		die(opt.pin_dir);
	fcntl(sockhash, F_SETFD, FD_CLOEXEC);
	merged = open_map(opt.pin_dir, SS_MAP_MERGED);
	fcntl(merged, F_SETFD, FD_CLOEXEC);
}

static void usage(void)
{
	fprintf(stderr,
		"usage: integrity [-n CONNS] [-s SEED] [-j PARALLEL] "
		"[-4|-6|-m] [-b MAXBYTES]\n"
		"       [-t SECONDS] [-o CONN] [-p] [-v] [--register PINDIR "
		"[--race]]\n"
		"  -n  connections (1000)       -j  at a time (8)\n"
		"  -s  seed (from the clock)    -b  most bytes each way "
		"(262144)\n"
		"  -4  IPv4   -6  IPv6   -m  IPv4 to a dual-stack listener "
		"(mixed)\n"
		"  -t  time limit (120)         -o  only this connection\n"
		"  -p  server ends in another process   -v  more output\n"
		"  --register  insert the sockets into PINDIR/sockhash\n"
		"  --race  do so during a receive too: Linux gets that "
		"wrong\n");
	exit(2);
}

static uint64_t number(const char *text, uint64_t min, uint64_t max)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || n < min || n > max)
		usage();
	return n;
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "register", required_argument, NULL, 'R' },
		{ "race", no_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	opt.seed = (uint64_t)time(NULL) * 1000 + getpid() % 1000;
	while ((c = getopt_long(argc, argv, "n:s:j:46mb:t:o:pvh", longs,
				NULL)) >= 0) {
		switch (c) {
		case 'n':
			opt.conns = number(optarg, 1, STREAM_MAX_CONNS / 2);
			break;
		case 's':
			opt.seed = number(optarg, 0, UINT64_MAX);
			break;
		case 'j':
			opt.parallel = number(optarg, 1, 4096);
			break;
		case '4':
			opt.family = V4;
			break;
		case '6':
			opt.family = V6;
			break;
		case 'm':
			opt.family = MAPPED;
			break;
		case 'b':
			opt.max_bytes = number(optarg, 0, STREAM_MAX_BYTES);
			break;
		case 't':
			opt.timeout = number(optarg, 1, 1000000);
			break;
		case 'o':
			opt.first = number(optarg, 0, STREAM_MAX_CONNS / 2);
			opt.conns = 1;
			break;
		case 'p':
			opt.fork = true;
			break;
		case 'v':
			opt.verbose = true;
			break;
		case 'r':
			opt.race = true;
			break;
		case 'R':
			opt.pin_dir = optarg;
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
	snprintf(opt.replay, sizeof(opt.replay), "-s %llu -b %llu%s",
		 (unsigned long long)opt.seed,
		 (unsigned long long)opt.max_bytes,
		 opt.family == V4	? " -4"
		 : opt.family == V6	? " -6"
		 : opt.family == MAPPED ? " -m"
					: "");
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	say("integrity: seed %llu", (unsigned long long)opt.seed);
	set_signals();
	set_up();
	return run() ? 0 : 1;
}
