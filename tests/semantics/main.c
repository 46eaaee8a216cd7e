/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * semantics [-6] [--settle USECS] [--patience MS] [FILE...]: runs scripts and
 * prints what the peers observed. Without FILE, scripts come from standard
 * input, with a line "---" after each, and so do their observations go out.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "semantics.h"

#define MAX_LINES 400

static int family = AF_INET, settle_usecs = 1500, patience = 10000;
static bool bad_script;

/* The coordinator's view of a peer */
struct actor {
	pid_t pid;
	int control;
	bool dead, stopped;
	pid_t threads[STARTED_SLOTS];
};

static struct actor actors[2];
static bool connected;

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(3);
}

static void start_actor(int index, bool with_courier)
{
	struct actor *actor = &actors[index];
	int ends[2];

	memset(actor, 0, sizeof(*actor));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		fail("socketpair");
	ends[0] = out_of_the_way(ends[0]);
	ends[1] = out_of_the_way(ends[1]);
	actor->pid = fork();
	if (actor->pid < 0)
		fail("fork");
	if (!actor->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0);
		close(ends[0]);
		if (index)
			close(actors[0].control);
		peer_main(index, ends[1], with_courier);
	}
	setpgid(actor->pid, actor->pid);
	close(ends[1]);
	actor->control = ends[0];
}

static void end_actor(struct actor *actor)
{
	kill(-actor->pid, SIGKILL);
	if (!actor->dead)
		waitpid(actor->pid, NULL, 0);
	close(actor->control);
}

/* Waiting for everything to have happened */

static bool is_running(pid_t pid, pid_t thread)
{
	char path[64], stat[256] = "";
	const char *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, thread);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(stat, sizeof(stat), f))
		stat[0] = '\0';
	fclose(f);
	state = strrchr(stat, ')');
	return state && state[1] && state[2] == 'R';
}

static bool anyone_running(void)
{
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < STARTED_SLOTS; k++) {
			if (!actors[i].dead && actors[i].threads[k] &&
			    is_running(actors[i].pid, actors[i].threads[k]))
				return true;
		}
	}
	return false;
}

static void settle(void)
{
	usleep((useconds_t)settle_usecs);
	/* On a busy machine a thread may not have got there yet. */
	for (int i = 0; i < 2000 && anyone_running(); i++)
		usleep(500);
}

/* Commands */

static void say_death(struct actor *actor, struct reply *reply)
{
	int status = 0;

	actor->dead = true;
	waitpid(actor->pid, &status, 0);
	if (WIFSIGNALED(status))
		snprintf(reply->text, sizeof(reply->text), "DIES of SIG%s",
			 signal_name(WTERMSIG(status)));
	else
		snprintf(reply->text, sizeof(reply->text), "ENDS with %d",
			 WEXITSTATUS(status));
}

/* Has the peer do it; false if it does not end. */
static bool command(int index, const char *words, struct reply *reply)
{
	struct actor *actor = &actors[index];
	struct pollfd p = { .fd = actor->control, .events = POLLIN };
	int ready;

	memset(reply, 0, sizeof(*reply));
	if (actor->dead) {
		snprintf(reply->text, sizeof(reply->text), "dead");
		return true;
	}
	if (write(actor->control, words, strlen(words)) < 0) {
		say_death(actor, reply);
		return true;
	}
	do
		ready = poll(&p, 1, patience);
	while (ready < 0 && errno == EINTR);
	if (!ready)
		return false;
	if (read(actor->control, reply, sizeof(*reply)) <= 0)
		say_death(actor, reply);
	return true;
}

static bool observe(const char *line, const char *text)
{
	printf("%s -> %s\n", line, text);
	if (strstr(text, "NO SUCH"))
		bad_script = true;
	return true;
}

static bool hangs(const char *line)
{
	printf("%s -> HANGS\n", line);
	return false;
}

static bool is_quiet(const char *op)
{
	const struct op *known = op_named(op);

	return known && known->quiet;
}

static bool accepted(const char *line, char *text, size_t size)
{
	struct reply reply;
	size_t len = strlen(text);

	if (!command(1, "accept", &reply))
		return hangs(line);
	if (strcmp(reply.text, "ok"))
		snprintf(text + len, size - len, ", b %s", reply.text);
	return true;
}

/* connect [nonblock|late N|fastopen N|fastopen_connect N] */
static bool connect_step(const char *line, struct call *c)
{
	char words[300] = "connect", text[300];
	struct reply reply;

	connected = true;
	for (int i = 1; i < c->argc; i++) {
		strcat(words, " ");
		strcat(words, c->argv[i]);
	}
	if (!command(0, words, &reply))
		return hangs(line);
	snprintf(text, sizeof(text), "%.250s", reply.text);
	if (!strncmp(reply.text, "ok", 2) &&
	    !accepted(line, text, sizeof(text)))
		return false;
	settle();
	return observe(line, text);
}

static bool reconnect_step(const char *line)
{
	char text[300] = "ok";
	struct reply reply;

	if (!command(0, "disconnect", &reply))
		return hangs(line);
	settle();
	if (!command(0, "connect again", &reply))
		return hangs(line);
	snprintf(text, sizeof(text), "%.250s", reply.text);
	if (!strcmp(text, "ok") && !accepted(line, text, sizeof(text)))
		return false;
	settle();
	return observe(line, text);
}

static bool signal_step(const char *line, int index, struct call *c)
{
	struct actor *actor = &actors[index];
	int number = c->argc > 2 ? signal_number(c->argv[2]) : -1;
	pid_t thread = actor->pid;

	if (number < 0)
		return observe(line, "NO SUCH SIGNAL");
	if (has_word(c, "thread"))
		thread = actor->threads[0];
	else if (has_word(c, "thread2"))
		thread = actor->threads[1];
	if (actor->dead || !thread)
		return observe(line, "no such thread");
	if (thread == actor->pid)
		kill(thread, number);
	else
		tgkill(actor->pid, thread, number);
	settle();
	return observe(line, "sent");
}

static bool stop_step(const char *line, int index, bool stop)
{
	struct actor *actor = &actors[index];

	if (actor->dead)
		return observe(line, "dead");
	kill(actor->pid, stop ? SIGSTOP : SIGCONT);
	if (stop != actor->stopped)
		waitpid(actor->pid, NULL, stop ? WUNTRACED : WCONTINUED);
	actor->stopped = stop;
	settle();
	return observe(line, "ok");
}

static bool kill_step(const char *line, int index)
{
	struct actor *actor = &actors[index];

	if (actor->dead)
		return observe(line, "dead");
	kill(actor->pid, SIGKILL);
	waitpid(actor->pid, NULL, 0);
	actor->dead = true;
	settle();
	return observe(line, "ok");
}

/* exit(3), or _exit(2) now: the process ends by itself. */
static bool exit_step(const char *line, int index, struct call *c)
{
	struct actor *actor = &actors[index];
	const char *words = c->argc > 2 ? "exit now" : "exit";

	if (actor->dead)
		return observe(line, "dead");
	if (write(actor->control, words, strlen(words)) < 0)
		return observe(line, "cannot");
	waitpid(actor->pid, NULL, 0);
	actor->dead = true;
	settle();
	return observe(line, "ok");
}

static bool peer_op_step(const char *line, int index, struct call *c)
{
	struct actor *actor = &actors[index];
	const char *op = c->argv[1];
	char words[256] = "";
	struct reply reply;

	for (int i = 1; i < c->argc; i++) {
		strcat(words, c->argv[i]);
		strcat(words, " ");
	}
	if (!command(index, words, &reply))
		return hangs(line);
	if (!strncmp(op, "start", 5) && reply.thread)
		actor->threads[!strcmp(op, "start2")] = reply.thread;
	if (!strncmp(op, "join", 4) && strcmp(reply.text, "still blocked"))
		actor->threads[!strcmp(op, "join2")] = 0;
	if (!is_quiet(op))
		settle();
	return observe(line, reply.text);
}

static bool peer_step(const char *line, int index, struct call *c)
{
	const char *op = c->argc > 1 ? c->argv[1] : "";

	if (!strcmp(op, "signal"))
		return signal_step(line, index, c);
	if (!strcmp(op, "stop") || !strcmp(op, "cont"))
		return stop_step(line, index, !strcmp(op, "stop"));
	if (!strcmp(op, "kill"))
		return kill_step(line, index);
	if (!strcmp(op, "exit"))
		return exit_step(line, index, c);
	if (!strcmp(op, "reconnect") && !index)
		return reconnect_step(line);
	return peer_op_step(line, index, c);
}

/* False: the script ends here. */
static bool step(const char *line)
{
	struct call c;

	make_call(&c, line);
	if (!c.argc)
		return true;
	if (!strcmp(c.argv[0], "connect"))
		return connect_step(line, &c);
	if (!strcmp(c.argv[0], "reconnect"))
		return reconnect_step(line);
	if (!strcmp(c.argv[0], "pause")) {
		usleep((useconds_t)number(&c, 1, 0) * 1000);
		return observe(line, "ok");
	}
	if (!strcmp(c.argv[0], "a") || !strcmp(c.argv[0], "b"))
		return peer_step(line, c.argv[0][0] == 'b', &c);
	return observe(line, "NO SUCH STEP");
}

/* Scripts */

static bool mentions(char *const lines[], int n, char peer, const char *word)
{
	for (int i = 0; i < n; i++) {
		if (lines[i][0] == peer && strstr(lines[i], word))
			return true;
	}
	return false;
}

static void run_script(char *const lines[], int n)
{
	struct reply reply;

	memset(shared, 0, sizeof(*shared));
	shared->family = family;
	connected = false;
	for (int i = 0; i < 2; i++)
		start_actor(i, mentions(lines, n, "ab"[i], " pass"));
	if (!command(1, "listen", &reply) || strcmp(reply.text, "ok") ||
	    !command(0, "socket tcp", &reply) || strcmp(reply.text, "ok")) {
		fprintf(stderr, "semantics: cannot begin: %s\n", reply.text);
		exit(3);
	}
	for (int i = 0; i < n; i++) {
		if (!step(lines[i]))
			break;
	}
	for (int i = 0; i < 2; i++)
		end_actor(&actors[i]);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		; /* holders, whose parents have ended */
	printf("---\n");
	fflush(stdout);
}

/* Without the comment, and with single spaces. */
static char *tidy(char *line)
{
	char *to = line, *copy;

	line[strcspn(line, "#\n")] = '\0';
	for (const char *from = line; *from; from++) {
		if (*from != ' ' && *from != '\t')
			*to++ = *from;
		else if (to > line && to[-1] != ' ')
			*to++ = ' ';
	}
	if (to > line && to[-1] == ' ')
		to--;
	*to = '\0';
	copy = strdup(line);
	if (!copy)
		fail("strdup");
	return copy;
}

static void run_stream(FILE *f)
{
	char line[250], *lines[MAX_LINES];
	int n = 0;
	bool more = true;

	while (more) {
		more = fgets(line, sizeof(line), f);
		if (more && strncmp(line, "---", 3)) {
			if (n == MAX_LINES) {
				fprintf(stderr, "semantics: script too long\n");
				exit(3);
			}
			lines[n] = tidy(line);
			if (*lines[n])
				n++;
			else
				free(lines[n]);
			continue;
		}
		if (n || more)
			run_script(lines, n);
		while (n)
			free(lines[--n]);
	}
}

static void share(void)
{
	shared_memory = out_of_the_way(memfd_create("shared", 0));
	if (shared_memory < 0 || ftruncate(shared_memory, sizeof(*shared)))
		fail("memfd_create");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED,
		      shared_memory, 0);
	if (shared == MAP_FAILED)
		fail("mmap");
}

static bool takes_number(char **argv, const char *name, int *value)
{
	if (strcmp(argv[0], name) || !argv[1])
		return false;
	*value = atoi(argv[1]);
	return true;
}

int main(int argc, char **argv)
{
	FILE *f;

	if (argc > 1 && !strcmp(argv[1], "--hold"))
		holder_main(argv + 2);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (argv++; *argv && **argv == '-'; argv++) {
		if (!strcmp(*argv, "-6")) {
			family = AF_INET6;
		} else if (takes_number(argv, "--settle", &settle_usecs) ||
			   takes_number(argv, "--patience", &patience)) {
			argv++;
		} else {
			fprintf(stderr, "usage: semantics [-6] [--settle USECS]"
					" [--patience MS] [FILE...]\n");
			return 3;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	share();
	if (!*argv)
		run_stream(stdin);
	for (; *argv; argv++) {
		f = fopen(*argv, "re");
		if (!f)
			fail(*argv);
		run_stream(f);
		fclose(f);
	}
	return bad_script ? 2 : 0;
}
