/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * sockshunt enable, sockshunt disable: a service of systemd gets the shim by a
 * drop-in of our own. Nothing else is written, and nothing is restarted.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "shim.h"
#include "unit.h"

static const struct option options[] = {
	{ "root", required_argument, NULL, 'r' },
	{ 0 },
};

struct job {
	const char *root; /* "": this system */
	char name[UNIT_NAME_MAX + 1];
	struct unit unit;
	char shim[PATH_MAX];
	struct ss_conf conf;
	char directory[PATH_MAX];
	char file[PATH_MAX + 32];
};

static int read_arguments(int argc, char **argv, struct job *job)
{
	int opt;

	job->root = "";
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt != 'r')
			return EXIT_USAGE;
		job->root = optarg;
	}
	if (optind + 1 != argc)
		return EXIT_USAGE;
	if (!strcmp(job->root, "/"))
		job->root = "";
	if (*job->root && access(job->root, X_OK)) {
		ss_log(SS_LOG_ERROR, "--root %s: %s", job->root,
		       strerror(errno));
		return EXIT_FAILED;
	}
	return unit_name(argv[optind], job->name) ? EXIT_FAILED : EXIT_DONE;
}

static void find_drop_in(struct job *job)
{
	snprintf(job->directory, sizeof(job->directory), "%s" UNIT_DIR "/%s.d",
		 job->root, job->unit.name);
	snprintf(job->file, sizeof(job->file), "%s/" UNIT_DROP_IN,
		 job->directory);
}

static int file_error(const char *what, const char *file)
{
	ss_log(SS_LOG_ERROR, "cannot %s %s: %s%s", what, file, strerror(errno),
	       errno == EACCES || errno == EPERM ? " (as root?)" : "");
	return -1;
}

/* The one that sockshunt.service reads, and services do. */
static int read_conf(struct job *job)
{
	char file[PATH_MAX];

	snprintf(file, sizeof(file), "%s" SS_CONF_DEFAULT_FILE, job->root);
	if (!access(file, F_OK))
		return command_conf(&job->conf, file);
	ss_conf_defaults(&job->conf);
	return 0;
}

/* What the dynamic linker splits LD_PRELOAD at, and systemd expands. */
static int get_shim(struct job *job)
{
	static const char accepted[] = "abcdefghijklmnopqrstuvwxyz"
				       "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789/_-.+,@~";
	char inside[2 * PATH_MAX];
	int err;

	if (*job->root) {
		snprintf(job->shim, sizeof(job->shim), "%s", installed_shim());
		snprintf(inside, sizeof(inside), "%s%s", job->root, job->shim);
		err = access(inside, R_OK);
	} else {
		err = find_shim(job->shim);
	}
	if (err) {
		ss_log(SS_LOG_ERROR,
		       "cannot find " SHIM ": not built, nor installed as "
		       "%s%s",
		       job->root, job->shim);
		return -1;
	}
	if (job->shim[strspn(job->shim, accepted)]) {
		ss_log(SS_LOG_ERROR,
		       "%s: LD_PRELOAD cannot name a path with such "
		       "characters: install it elsewhere",
		       job->shim);
		return -1;
	}
	return 0;
}

/* What would make the drop-in useless, or take something from the service. */
static int refuse(const struct job *job)
{
	const struct unit *u = &job->unit;

	if (!strcmp(u->name, "sockshunt.service")) {
		ss_log(SS_LOG_ERROR, "%s loads what others use: name a server",
		       u->name);
	} else if (*u->preloads) {
		ss_log(SS_LOG_ERROR,
		       "%s: %s decides on LD_PRELOAD already: add %s there",
		       u->name, u->preloads, job->shim);
	} else if (*u->changes_root) {
		ss_log(SS_LOG_ERROR,
		       "%s: %s gives it a root of its own, where neither the "
		       "shim nor the pins are",
		       u->name, u->changes_root);
	} else if (*u->user && !*job->conf.pin_group) {
		ss_log(SS_LOG_ERROR,
		       "%s does not run as root, and pin_group is empty in "
		       "%s" SS_CONF_DEFAULT_FILE ": name a group there "
		       "(groupadd --system sockshunt)",
		       u->name, job->root);
	} else {
		return 0;
	}
	return -1;
}

static void print_drop_in(FILE *out, const struct job *job)
{
	const struct unit *u = &job->unit;

	fputs(UNIT_MARK "; \"sockshunt disable\" removes it.\n"
			"[Unit]\n"
			"# To find the pins; without them it runs on TCP.\n"
			"Wants=sockshunt.service\n"
			"After=sockshunt.service\n"
			"\n"
			"[Service]\n",
	      out);
	fprintf(out, "Environment=LD_PRELOAD=%s\n", job->shim);
	if (*u->user)
		fprintf(out,
			"# It is not root, and pin_group may use the pins.\n"
			"SupplementaryGroups=%s\n",
			job->conf.pin_group);
	if (u->filters_calls)
		fputs("# The unit's filter forbids bpf(2): all would stay on "
		      "TCP.\n"
		      "SystemCallFilter=bpf\n",
		      out);
	if (u->forbids_exec)
		fprintf(out,
			"# The unit's NoExecPaths= may forbid to map the "
			"shim.\n"
			"ExecPaths=-%.*s\n",
			(int)(strrchr(job->shim, '/') - job->shim), job->shim);
}

static bool is_same(const char *file, const char *text, size_t size)
{
	FILE *in = fopen(file, "re");
	size_t n = 0;
	int c = EOF;

	while (in && (c = getc(in)) != EOF && n < size && text[n] == (char)c)
		n++;
	if (in)
		fclose(in);
	return in && c == EOF && n == size;
}

/* By rename: systemd never reads half of it. */
static int put_file(const struct job *job, const char *text, size_t size)
{
	char temporary[PATH_MAX + 64];
	int fd;
	bool good;

	if (mkdir(job->directory, 0755) && errno != EEXIST)
		return file_error("create", job->directory);
	snprintf(temporary, sizeof(temporary), "%s.XXXXXX", job->file);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0) {
		file_error("create", job->file);
		rmdir(job->directory);
		return -1;
	}
	good = write(fd, text, size) == (ssize_t)size && !fchmod(fd, 0644) &&
	       !rename(temporary, job->file);
	if (!good) {
		file_error("write", job->file);
		unlink(temporary);
		rmdir(job->directory);
	}
	close(fd);
	return good ? 0 : -1;
}

/* Nothing that somebody else has written is touched. Returns 1: is not there. */
static int check_ours(const struct job *job)
{
	if (unit_is_ours(job->file))
		return 0;
	if (errno == ENOENT || errno == ENOTDIR)
		return 1;
	if (errno)
		return file_error("read", job->file);
	ss_log(SS_LOG_ERROR,
	       "%s was not written by 'sockshunt enable': it is left as it is",
	       job->file);
	return -1;
}

static void print_next(const struct job *job)
{
	if (!*job->root)
		printf("to take effect: systemctl daemon-reload && systemctl "
		       "try-restart '%s'\n",
		       job->unit.name);
}

static int write_drop_in(struct job *job)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	bool same;
	int err = 0;

	if (!out)
		return file_error("write", job->file);
	print_drop_in(out, job);
	fclose(out);
	same = is_same(job->file, text, size);
	if (!same)
		err = put_file(job, text, size);
	free(text);
	if (err)
		return -1;
	printf("%s %s\n", same ? "there already:" : "wrote", job->file);
	print_next(job);
	return 0;
}

int cmd_enable(int argc, char **argv)
{
	static struct job job;
	int status = read_arguments(argc, argv, &job);

	if (status)
		return status;
	if (read_conf(&job) || get_shim(&job) ||
	    unit_read(job.root, job.name, false, &job.unit) || refuse(&job))
		return EXIT_FAILED;
	find_drop_in(&job);
	if (check_ours(&job) < 0 || write_drop_in(&job))
		return EXIT_FAILED;
	if (*job.unit.undoes)
		ss_log(SS_LOG_WARN,
		       "%s: %s is read after " UNIT_DROP_IN " and may undo it: "
		       "give that a name that sorts before",
		       job.unit.name, job.unit.undoes);
	return EXIT_DONE;
}

/* A service that has gone leaves its drop-in: then the name is as given. */
int cmd_disable(int argc, char **argv)
{
	static struct job job;
	int status = read_arguments(argc, argv, &job);

	if (status)
		return status;
	unit_read(job.root, job.name, true, &job.unit);
	find_drop_in(&job);
	status = check_ours(&job);
	if (status < 0)
		return EXIT_FAILED;
	if (status > 0) {
		printf("not there: %s\n", job.file);
		return EXIT_DONE;
	}
	if (unlink(job.file)) {
		file_error("remove", job.file);
		return EXIT_FAILED;
	}
	rmdir(job.directory); /* fails if others have drop-ins there */
	printf("removed %s\n", job.file);
	print_next(&job);
	return EXIT_DONE;
}
