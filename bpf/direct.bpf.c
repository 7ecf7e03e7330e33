/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * direct.bpf.c - XDP on the direct link: answers the peer's probes in place and takes in its
 * answers. Everything else passes untouched. Heartbeats are small, so the first fragment of a
 * multi-buffer frame is all that is read.
 */
#include "maps.h"
#include "answer.h"
#include "parse.h"

char LICENSE[] SEC("license") = "GPL";

/* The interface's own address, for answers to frames that were sent to a group. */
const volatile __u8 cb_self_mac[6];

SEC("xdp")
int cb_direct(struct xdp_md *ctx)
{
	struct cb_cursor cursor = { (void *)(long)ctx->data, (void *)(long)ctx->data_end };
	const __u32 zero = 0;
	const struct cb_node *node = bpf_map_lookup_elem(&cb_node, &zero);
	struct cb_heartbeat *hb;
	struct cb_found found;
	struct cb_path *fresh;
	__u8 self[6];
	__u32 kind;
	int broken;

	if (!node || !cb_find(&cursor, &found, 1, CB_READ_ONCE(node->udp_port), &broken))
		return XDP_PASS;
	hb = CB_TAKE(&cursor, struct cb_heartbeat);
	if (!hb || broken) {
		cb_count_drop(CB_DROP_SHORT);
		return XDP_DROP;
	}
	kind = cb_answer(node, hb, CB_LINK_DIRECT, bpf_ktime_get_boot_ns(), &fresh);
	if (fresh && !cb_same(fresh->peer_mac, found.eth->source, 6))
		__builtin_memcpy(fresh->peer_mac, found.eth->source, 6);
	if (kind != CB_VERDICT_ANSWER)
		return XDP_DROP;
	for (int i = 0; i < 6; i++)
		self[i] = cb_self_mac[i];
	cb_turn_round(&found, self);
	return XDP_TX;
}
