/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * direct_tc.bpf.c - tc clsact ingress on the direct link, in place of XDP where the driver has none
 * or loses by it: generic XDP copies every long packet, and on a veth native XDP takes the other
 * end's segmentation away. Here nothing but heartbeats costs more than one comparison.
 *
 * As on the network link the packet is read in place and written by helpers.
 */
#include <linux/pkt_cls.h>

#include "maps.h"
#include "answer.h"
#include "parse.h"

char LICENSE[] SEC("license") = "GPL";

#define CB_PRIORITY_CONTROL 7 /* TC_PRIO_CONTROL: in front of bulk in the queueing discipline */

/* The interface's own address, for answers to frames that were sent to a group. */
const volatile __u8 cb_self_mac[6];

SEC("tc")
int cb_direct_tc(struct __sk_buff *skb)
{
	const __u32 zero = 0;
	const struct cb_node *node;
	struct cb_heartbeat hb;
	struct cb_path *fresh;
	struct cb_eth eth;
	struct {
		__u8 destination[6], source[6];
	} macs;
	__u32 kind;

	/* A tag means another network than ours, but for tag 0, which only carries a priority. */
	if (skb->protocol != CB_BE16(CB_ETHERTYPE) ||
	    (skb->vlan_present && (skb->vlan_tci & 0xfff) != 0))
		return TC_ACT_UNSPEC;
	node = bpf_map_lookup_elem(&cb_node, &zero);
	if (!node || bpf_skb_load_bytes(skb, 0, &eth, sizeof(eth)))
		return TC_ACT_UNSPEC;
	if (bpf_skb_load_bytes(skb, sizeof(eth), &hb, sizeof(hb))) {
		cb_count_drop(CB_DROP_SHORT);
		return TC_ACT_SHOT;
	}
	kind = cb_answer(node, &hb, CB_LINK_DIRECT, bpf_ktime_get_boot_ns(), &fresh);
	if (fresh && !cb_same(fresh->peer_mac, eth.source, 6))
		__builtin_memcpy(fresh->peer_mac, eth.source, 6);
	if (kind != CB_VERDICT_ANSWER)
		return TC_ACT_SHOT;
	__builtin_memcpy(macs.destination, eth.source, 6);
	for (int i = 0; i < 6; i++)
		macs.source[i] = (eth.destination[0] & 1) ? cb_self_mac[i] : eth.destination[i];
	if (bpf_skb_store_bytes(skb, 0, &macs, sizeof(macs), 0) ||
	    bpf_skb_store_bytes(skb, sizeof(eth), &hb, sizeof(hb), 0))
		return TC_ACT_SHOT;
	skb->priority = CB_PRIORITY_CONTROL;
	return bpf_redirect(skb->ifindex, 0);
}
