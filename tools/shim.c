/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef SS_LIBDIR
#define SS_LIBDIR "/usr/local/lib/sockshunt" /* set by the Makefile */
#endif

/* In the build tree the shim is beside us; else where it was installed. */
const char *installed_shim(void)
{
	return SS_LIBDIR "/" SHIM;
}

int find_shim(char path[PATH_MAX])
{
	static const char *const places[] = { "../preload/",
					      "../lib/sockshunt/" };
	char self[PATH_MAX], beside[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		if (slash)
			slash[1] = '\0';
		for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
			snprintf(beside, sizeof(beside), "%s%s" SHIM, self,
				 places[i]);
			if (!access(beside, R_OK) && realpath(beside, path))
				return 0;
		}
	}
	snprintf(path, PATH_MAX, "%s", installed_shim());
	return access(path, R_OK);
}

int find_loader(char path[PATH_MAX])
{
	char shim[PATH_MAX];
	int dir;

	find_shim(shim);
	dir = (int)(strrchr(shim, '/') - shim);
	if (snprintf(path, PATH_MAX, "%.*s/%s", dir, shim, LOADER) >= PATH_MAX)
		return -1;
	return access(path, X_OK);
}

int preload(const char *shim)
{
	const char *old = getenv("LD_PRELOAD");
	char *value;

	if (!old || !*old)
		return setenv("LD_PRELOAD", shim, 1);
	if (strstr(old, SHIM))
		return 0; /* run inside run */
	if (asprintf(&value, "%s:%s", shim, old) < 0)
		return -1;
	return setenv("LD_PRELOAD", value, 1);
}
