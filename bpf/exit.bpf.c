/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * exit.bpf.c - leaves the exit mark: the kernel's own word, in every answer from then on, that the
 * monitor process is gone. A raw tracepoint, since those need no tracefs.
 */
#include "maps.h"

char LICENSE[] SEC("license") = "GPL";

SEC("raw_tp/sched_process_exit")
int cb_exit(void *ctx)
{
	const __u64 id = bpf_get_current_pid_tgid();
	const __u32 tgid = id >> 32, tid = (__u32)id, zero = 0;
	struct cb_node *node;

	(void)ctx;
	/* The leader of the thread group; for the rest of the machine that is the whole cost. */
	if (tgid != tid)
		return 0;
	node = bpf_map_lookup_elem(&cb_node, &zero);
	if (node && CB_READ_ONCE(node->monitor_tgid) == tgid)
		CB_WRITE_ONCE(node->exit_ns, bpf_ktime_get_boot_ns());
	return 0;
}

/*
 * Never attached: run once by the loader, whose process id it answers as the programs see it, also
 * from inside a PID namespace.
 */
SEC("raw_tp")
int cb_self(void *ctx)
{
	(void)ctx;
	return bpf_get_current_pid_tgid() >> 32;
}
