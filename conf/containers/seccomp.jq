# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# From a container engine's default seccomp profile (podman's, or moby's
# default.json) makes one in which programs may use what the host has loaded, and
# no more of bpf(2): these commands cannot load anything.
#
#   jq -f seccomp.jq /usr/share/containers/seccomp.json >sockshunt.json

def commands: {
	BPF_MAP_LOOKUP_ELEM: 1, BPF_MAP_UPDATE_ELEM: 2, BPF_MAP_DELETE_ELEM: 3,
	BPF_MAP_GET_NEXT_KEY: 4, BPF_OBJ_GET: 7, BPF_PROG_TEST_RUN: 10,
	BPF_OBJ_GET_INFO_BY_FD: 15
};

.syscalls |= (map(.names -= ["bpf"]) | map(select(.names != [])))
| .syscalls += [commands | to_entries[] | {
	names: ["bpf"], action: "SCMP_ACT_ALLOW", comment: .key,
	args: [{ index: 0, value: .value, op: "SCMP_CMP_EQ" }]
}]
