/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* load: starts the two ends of a workload, and measures them. See usage(). */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define PATIENCE_SECONDS 10.0
#define NSECS_PER_SECOND 1e9

struct shared *shared;

struct plan {
	const struct workload *workload;
	struct load load;
	double seconds;
	int cpu[ENDS]; /* -1: where the scheduler puts it */
	bool runs[ENDS];
	const char *hist_path;
};

struct sample {
	uint64_t wall, cpu, ops, bytes;
};

static void usage(FILE *to)
{
	fputs("usage: load pingpong|stream|churn|busy [OPTION...]\n"
	      "       load calibrate CPU...\n"
	      "  -t SECONDS   to measure, after a tenth of it to warm up (1)\n"
	      "  -s SIZE      of a message (64)\n"
	      "  -c CONNS     connections of stream and busy (1)\n"
	      "  -i IDLE      idle connections beside those of busy (0)\n"
	      "  -S STALLED   connections that busy's server never reads (0)\n"
	      "  -b           stream both ways\n"
	      "  -N           stream without Nagle's algorithm\n"
	      "  -g TIMES     first send a message back and forth so often "
	      "(0)\n"
	      "  -w USECS     stream's readers work so long on 64 KiB (0)\n"
	      "  -p A,B       CPUs of server and client (where the scheduler "
	      "likes)\n"
	      "  -u USECS     readers poll so long before they block (0)\n"
	      "  -n           readers never block (MSG_DONTWAIT)\n"
	      "  -a ADDRESS   /PATH, or IPv4 ADDRESS:PORT (127.0.0.1:0)\n"
	      "  -e END       server or client: only this one (both)\n"
	      "  -H FILE      the latencies' histogram\n"
	      "prints: rate (messages or cycles per second), mib (per second), "
	      "mean (us for\n"
	      "one of them), cpu (us of both ends), p50, p99, p99.9 (us)\n",
	      to);
}

static void refuse(const char *why)
{
	fprintf(stderr, "load: %s\n", why);
	usage(stderr);
	exit(2);
}

static double number(const char *text, double least, double most)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= least && value <= most))
		refuse("a number is out of range");
	return value;
}

static const struct workload *find_workload(const char *name)
{
	static const struct workload *const all[] = { &pingpong, &stream,
						      &churn, &busy };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		if (!strcmp(all[i]->name, name))
			return all[i];
	}
	refuse("no such workload");
	return NULL;
}

static void parse_end(struct plan *p, const char *name)
{
	p->runs[SERVER] = !strcmp(name, "server");
	p->runs[CLIENT] = !strcmp(name, "client");
	if (!p->runs[SERVER] && !p->runs[CLIENT])
		refuse("-e: server or client");
}

static void parse(struct plan *p, int argc, char **argv)
{
	const char *address = "127.0.0.1:0";
	struct load *l = &p->load;
	int opt;

	p->workload = find_workload(argv[1]);
	optind = 2;
	while ((opt = getopt(argc, argv, "t:s:c:i:S:bNg:w:p:u:na:e:H:")) !=
	       -1) {
		switch (opt) {
		case 't':
			p->seconds = number(optarg, 0.001, 3600);
			break;
		case 's':
			l->size = (size_t)number(optarg, 1, 1 << 30);
			break;
		case 'c':
			l->conns = (unsigned int)number(optarg, 1, 100000);
			break;
		case 'i':
			l->idle = (unsigned int)number(optarg, 0, 100000);
			break;
		case 'S':
			l->stalled = (unsigned int)number(optarg, 0, 100000);
			break;
		case 'b':
			l->both_ways = true;
			break;
		case 'N':
			l->no_delay = true;
			break;
		case 'g':
			l->greetings = (unsigned int)number(optarg, 0, 1000);
			break;
		case 'w':
			l->work_usecs = (unsigned int)number(optarg, 0, 1e6);
			break;
		case 'p':
			if (sscanf(optarg, "%d,%d", &p->cpu[SERVER],
				   &p->cpu[CLIENT]) != 2)
				refuse("-p: two CPUs");
			break;
		case 'u':
			l->spin_usecs = (unsigned int)number(optarg, 0, 1e6);
			l->reader =
				l->spin_usecs ? READER_SPINS : READER_BLOCKS;
			break;
		case 'n':
			l->reader = READER_NONBLOCKING;
			break;
		case 'a':
			address = optarg;
			break;
		case 'e':
			parse_end(p, optarg);
			break;
		case 'H':
			p->hist_path = optarg;
			break;
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind != argc)
		refuse("too many arguments");
	parse_address(l, address);
}

/* Thousands of connections are more than a shell usually allows. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static pid_t start_end(const struct plan *p, int end, int listener)
{
	pid_t meter = getpid(), pid = fork();
	sigset_t none;

	check(pid >= 0, "fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != meter)
		_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	pin_to(p->cpu[end]);
	if (end == SERVER) {
		p->workload->server(&p->load, listener);
	} else {
		if (listener >= 0)
			close(listener);
		p->workload->client(&p->load);
	}
	_exit(1);
}

static void stop(const pid_t pids[ENDS])
{
	__atomic_store_n(&shared->stopping, 1, __ATOMIC_RELAXED);
	for (int end = 0; end < ENDS; end++) {
		if (pids[end] <= 0)
			continue;
		kill(pids[end], SIGKILL);
		waitpid(pids[end], NULL, 0);
	}
}

/* An end that ends has failed, and has said why. */
static void sleep_watching(const pid_t pids[ENDS], double seconds)
{
	struct timespec t = { (time_t)seconds,
			      (long)((seconds - (double)(time_t)seconds) *
				     NSECS_PER_SECOND) };
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	if (sigtimedwait(&child, NULL, &t) < 0 && errno == EAGAIN)
		return;
	stop(pids);
	fputs("load: an end has failed\n", stderr);
	exit(1);
}

static void wait_until_ready(const pid_t pids[ENDS])
{
	uint64_t last =
		now_nsecs() + (uint64_t)(PATIENCE_SECONDS * NSECS_PER_SECOND);

	while (!__atomic_load_n(&shared->ready, __ATOMIC_ACQUIRE)) {
		sleep_watching(pids, 0.001);
		if (now_nsecs() < last)
			continue;
		stop(pids);
		fputs("load: the connections were not made in time\n", stderr);
		exit(1);
	}
}

static uint64_t cpu_nsecs(pid_t pid)
{
	struct timespec t = { 0 };
	clockid_t clock;

	if (pid > 0 && !clock_getcpuclockid(pid, &clock))
		clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static struct sample take_sample(const pid_t pids[ENDS])
{
	struct sample s = { .wall = now_nsecs() };

	for (int end = 0; end < ENDS; end++) {
		s.cpu += cpu_nsecs(pids[end]);
		s.ops += __atomic_load_n(&shared->end[end].ops,
					 __ATOMIC_RELAXED);
		s.bytes += __atomic_load_n(&shared->end[end].bytes,
					   __ATOMIC_RELAXED);
	}
	return s;
}

static int print(const struct plan *p, const struct sample *before,
		 const struct sample *after)
{
	double seconds =
		(double)(after->wall - before->wall) / NSECS_PER_SECOND;
	double bytes = (double)(after->bytes - before->bytes);
	double ops = (double)(after->ops - before->ops);
	const struct hist *h = &shared->hist;

	/* A stream has no other operations than its messages. */
	if (p->workload == &stream)
		ops = bytes / (double)p->load.size;
	if (ops <= 0) {
		fputs("load: nothing happened in that time\n", stderr);
		return 1;
	}
	printf("rate %.1f\nmib %.3f\n", ops / seconds,
	       bytes / seconds / (1 << 20));
	/* By the clock: what stalls at the end has no latency yet, but time. */
	printf("mean %.4f\n", seconds * 1e6 / ops);
	/* Of one end alone it would be no cost of an operation. */
	if (p->runs[SERVER] && p->runs[CLIENT])
		printf("cpu %.4f\n",
		       (double)(after->cpu - before->cpu) / 1e3 / ops);
	if (!h->total)
		return 0;
	printf("p50 %.4f\np99 %.4f\np99.9 %.4f\n", hist_percentile(h, 50) / 1e3,
	       hist_percentile(h, 99) / 1e3, hist_percentile(h, 99.9) / 1e3);
	return 0;
}

static void write_hist(const char *path)
{
	FILE *file = fopen(path, "w");

	check(file, path);
	hist_write(&shared->hist, file);
	check(!fclose(file), path);
}

static int measure(const struct plan *p, const pid_t pids[ENDS])
{
	struct sample before, after;
	double seconds = 0;

	wait_until_ready(pids);
	sleep_watching(pids, p->seconds / 10);
	before = take_sample(pids);
	__atomic_store_n(&shared->measuring, 1, __ATOMIC_RELAXED);
	/* On a machine that is busy with other work nothing may happen first. */
	do {
		sleep_watching(pids, p->seconds);
		seconds += p->seconds;
		after = take_sample(pids);
	} while (after.bytes == before.bytes && seconds < PATIENCE_SECONDS);
	__atomic_store_n(&shared->measuring, 0, __ATOMIC_RELAXED);
	stop(pids);
	if (p->hist_path)
		write_hist(p->hist_path);
	return print(p, &before, &after);
}

int main(int argc, char **argv)
{
	struct plan p = { .load = { .size = 64, .conns = 1 },
			  .seconds = 1,
			  .cpu = { -1, -1 },
			  .runs = { true, true } };
	pid_t pids[ENDS] = { 0 };
	int listener = -1;
	sigset_t child;

	if (argc > 1 && !strcmp(argv[1], "calibrate"))
		return calibrate(argc - 2, argv + 2);
	if (argc == 2 && !strcmp(argv[1], "-h")) {
		usage(stdout);
		return 0;
	}
	if (argc < 2)
		refuse("no workload");
	parse(&p, argc, argv);
	raise_file_limit();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(shared != MAP_FAILED, "mmap");
	if (p.runs[SERVER])
		listener = listen_at(&p.load);
	if (!p.runs[CLIENT]) {
		pin_to(p.cpu[SERVER]);
		p.workload->server(&p.load, listener);
	}
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	for (int end = 0; end < ENDS; end++) {
		if (p.runs[end])
			pids[end] = start_end(&p, end, listener);
	}
	return measure(&p, pids);
}
