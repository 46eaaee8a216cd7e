/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "hooks.h"

#include <dlfcn.h>
#include <errno.h>

struct ss_real ss_real;

/* For close_range() and closefrom() of a C library before 2.34. */
static long no_such_function(void)
{
	errno = ENOSYS;
	return -1;
}

void *ss_real_bind(void **slot, const char *name)
{
	void *real = __atomic_load_n(slot, __ATOMIC_RELAXED);

	if (__builtin_expect(!real, 0)) {
		real = dlsym(RTLD_NEXT, name);
		if (!real)
			real = (void *)no_such_function;
		__atomic_store_n(slot, real, __ATOMIC_RELAXED);
	}
	return real;
}

void ss_real_bind_all(void)
{
#define BIND(name, type, args) ss_real_bind((void **)&ss_real.name, #name);
	SS_HOOKS(BIND)
	SS_GUARDS(BIND)
	SS_WAITS(BIND)
#undef BIND
}
