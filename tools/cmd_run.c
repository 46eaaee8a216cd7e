/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sockshunt run: the shim put before a program, then exec. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "command.h"
#include "shim.h"

static const struct option options[] = {
	{ "conf", required_argument, NULL, 'c' },
	{ 0 },
};

/* As execvp(3) would find it. */
static int find_program(const char *name, char path[PATH_MAX])
{
	const char *dirs = getenv("PATH"), *dir, *end;

	if (strchr(name, '/')) {
		snprintf(path, PATH_MAX, "%s", name);
		return access(path, X_OK);
	}
	for (dir = dirs ? dirs : "/usr/bin:/bin"; dir;
	     dir = end ? end + 1 : NULL) {
		struct stat st;
		int len;

		end = strchr(dir, ':');
		len = end ? (int)(end - dir) : (int)strlen(dir);
		snprintf(path, PATH_MAX, "%.*s/%s", len ? len : 1,
			 len ? dir : ".", name);
		if (!access(path, X_OK) && !stat(path, &st) &&
		    S_ISREG(st.st_mode))
			return 0;
	}
	errno = ENOENT;
	return -1;
}

/*
 * The dynamic linker ignores LD_PRELOAD for a program that gains privileges,
 * so it would run on plain TCP without a word.
 */
static int refuse_privileged(const char *path)
{
	struct stat st;
	char capability[64];

	if (!stat(path, &st) && (st.st_mode & (S_ISUID | S_ISGID))) {
		ss_log(SS_LOG_ERROR,
		       "%s is a set-id program: the dynamic linker ignores "
		       "LD_PRELOAD for it; start it without sockshunt",
		       path);
		return -1;
	}
	if (getxattr(path, "security.capability", capability,
		     sizeof(capability)) > 0) {
		ss_log(SS_LOG_ERROR,
		       "%s has file capabilities: the dynamic linker ignores "
		       "LD_PRELOAD for it; start it without sockshunt",
		       path);
		return -1;
	}
	return 0;
}

/* An ELF program without PT_INTERP has no dynamic linker to preload us. */
static void warn_if_static(const char *path)
{
	int i, interp = 0, fd = open(path, O_RDONLY | O_CLOEXEC);
	ElfW(Ehdr) h;
	ElfW(Phdr) p;

	if (fd < 0)
		return;
	if (pread(fd, &h, sizeof(h), 0) == (ssize_t)sizeof(h) &&
	    !memcmp(h.e_ident, ELFMAG, SELFMAG) && h.e_phentsize == sizeof(p)) {
		for (i = 0; i < h.e_phnum && !interp; i++) {
			off_t at = (off_t)(h.e_phoff + (size_t)i * sizeof(p));

			if (pread(fd, &p, sizeof(p), at) != (ssize_t)sizeof(p))
				break;
			interp = p.p_type == PT_INTERP;
		}
		if (!interp && i == h.e_phnum)
			ss_log(SS_LOG_WARN,
			       "%s is statically linked: nothing can be "
			       "preloaded; only cgroup_path reaches it",
			       path);
	}
	close(fd);
}

int cmd_run(int argc, char **argv)
{
	char shim[PATH_MAX], program[PATH_MAX], conf_path[PATH_MAX];
	const char *file = NULL;
	struct ss_conf conf;
	int opt;

	/* '+': the options after COMMAND are COMMAND's. */
	while ((opt = getopt_long(argc, argv, "+c:", options, NULL)) != -1) {
		if (opt != 'c')
			return EXIT_USAGE;
		file = optarg;
	}
	if (optind == argc)
		return EXIT_USAGE;
	/* A mistake is better told now than by every process. */
	if (command_conf(&conf, file))
		return EXIT_FAILED;
	if (find_program(argv[optind], program)) {
		ss_log(SS_LOG_ERROR, "cannot run %s: %s", argv[optind],
		       strerror(errno));
		return EXIT_FAILED;
	}
	if (refuse_privileged(program))
		return EXIT_FAILED;
	if (find_shim(shim)) {
		ss_log(SS_LOG_ERROR,
		       "cannot find " SHIM ": not built, nor installed as %s",
		       shim);
		return EXIT_FAILED;
	}
	warn_if_static(program);
	/* Absolute, for programs that change their directory. */
	if (!file)
		file = getenv("SOCKSHUNT_CONF");
	if (file && *file &&
	    (!realpath(file, conf_path) ||
	     setenv("SOCKSHUNT_CONF", conf_path, 1))) {
		ss_log(SS_LOG_ERROR, "%s: %s", file, strerror(errno));
		return EXIT_FAILED;
	}
	if (preload(shim)) {
		ss_log(SS_LOG_ERROR, "cannot set LD_PRELOAD: %s",
		       strerror(errno));
		return EXIT_FAILED;
	}
	execv(program, argv + optind);
	ss_log(SS_LOG_ERROR, "cannot run %s: %s", program, strerror(errno));
	return EXIT_FAILED;
}
