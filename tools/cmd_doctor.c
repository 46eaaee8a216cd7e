/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sockshunt doctor: would a connection be accelerated now, and if not, why? */
#include <signal.h>

#include "../bpf/object.h"
#include "child.h"
#include "command.h"
#include "doctor.h"

static void check_all(struct doctor *d)
{
	if (!check_bpf_call() || !check_configuration(d))
		return;
	d->result = ss_pins_open(d->conf.pin_path, &d->pins, d->why,
				 sizeof(d->why));
	d->usable = d->result == SS_PINS_OK;
	child_catch_signals();
	trial_begin(d);
	if (!child_stop_signal()) {
		check_kernel(d);
		check_privileges(d);
		check_bpffs(d);
		check_cgroups(d);
		check_pins(d);
		check_shim(d);
		check_echo(d);
	}
	trial_end(d);
	if (!child_stop_signal())
		check_others();
}

int cmd_doctor(int argc, char **argv)
{
	struct doctor d = { 0 };
	bool json = false;

	if (command_options(argc, argv, &d.file, 'j', &json))
		return EXIT_USAGE;
	ss_object_redirect_libbpf_log();
	report_begin(json);
	check_all(&d);
	if (child_stop_signal()) {
		signal(child_stop_signal(), SIG_DFL);
		raise(child_stop_signal());
	}
	return report_end() ? EXIT_DONE : EXIT_FAILED;
}
