/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * guard.bpf.c - tc clsact on the service interface, both ways: lets a virtual address through only
 * while this node may serve it. The question is asked anew for every packet, so the right to serve
 * ends in time though nothing in user space runs. Traffic of addresses that nobody watches goes on
 * untouched.
 */
#include <linux/pkt_cls.h>

#include "maps.h"
#include "parse.h"

char LICENSE[] SEC("license") = "GPL";

/* As far as we look: Ethernet, two tags, IPv6, ND. */
#define CB_HEADERS_MAX                                                                             \
	(sizeof(struct cb_eth) + CB_VLANS_MAX * sizeof(struct cb_vlan) + sizeof(struct cb_ipv6) +  \
	 sizeof(struct cb_nd))

CB_INLINE int cb_judge(__u32 slot, __u64 now)
{
	const __u32 zero = 0;
	const struct cb_node *node = bpf_map_lookup_elem(&cb_node, &zero);
	const struct cb_pair *pair = bpf_map_lookup_elem(&cb_pairs, &slot);
	const struct cb_lease *lease = bpf_map_lookup_elem(&cb_leases, &slot);
	struct cb_guarded *guarded = bpf_map_lookup_elem(&cb_guarded, &slot);
	int shut;

	/* Cannot be; and what cannot be judged does not pass. */
	if (!node || !pair || !lease || !guarded)
		return TC_ACT_SHOT;
	shut = cb_guard_shut(node, pair, lease, now);
	if (shut == 0) {
		guarded->passed += 1;
		guarded->last_passed_ns = now;
		return TC_ACT_UNSPEC;
	}
	if (shut == 1)
		guarded->dropped_closed += 1;
	else if (shut == 2)
		guarded->dropped_lease += 1;
	else
		guarded->dropped_monitor += 1;
	guarded->last_dropped_ns = now;
	return TC_ACT_SHOT;
}

CB_INLINE int cb_guard(struct __sk_buff *skb, int egress)
{
	const __u32 want = skb->len < CB_HEADERS_MAX ? skb->len : CB_HEADERS_MAX;
	struct cb_claims claims;
	struct cb_cursor cursor;
	const __u32 *slot;

	if ((void *)(long)skb->data + want > (void *)(long)skb->data_end)
		bpf_skb_pull_data(skb, want); /* failed: then what is there is looked at */
	cursor.at = (void *)(long)skb->data;
	cursor.end = (void *)(long)skb->data_end;
	if (!cb_find_claims(&cursor, egress, &claims))
		return TC_ACT_UNSPEC;
	slot = bpf_map_lookup_elem(&cb_addresses, &claims.address[0]);
	if (!slot && claims.count == 2)
		slot = bpf_map_lookup_elem(&cb_addresses, &claims.address[1]);
	if (!slot)
		return TC_ACT_UNSPEC;
	return cb_judge(*slot, bpf_ktime_get_boot_ns());
}

SEC("tc")
int cb_guard_in(struct __sk_buff *skb)
{
	return cb_guard(skb, 0);
}

SEC("tc")
int cb_guard_out(struct __sk_buff *skb)
{
	return cb_guard(skb, 1);
}
