/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * network.bpf.c - tc clsact ingress on the service interface: the network link's half of the
 * heartbeats. XDP is not used here, since attaching it may bounce the card that serves the clients.
 * A heartbeat ends here: dropped, taken in, or rewritten and sent back out of the interface it came
 * by. Other traffic goes on to the next filter.
 *
 * The packet is only read in place. It is written by helpers, on answers alone: direct writes would
 * make the verifier copy every packet that somebody else (tcpdump, lldpd) holds too.
 */
#include <linux/pkt_cls.h>

#include "maps.h"
#include "answer.h"
#include "parse.h"

char LICENSE[] SEC("license") = "GPL";

#define CB_HEADERS_MAX (sizeof(struct cb_eth) + 60 + sizeof(struct cb_udp))

/*
 * Rewrites the packet into the answer. Returns 0, or a negative error that leaves it unfit to be
 * sent.
 */
CB_INLINE long cb_write_answer(struct __sk_buff *skb, const struct cb_found *found, __u32 ip_at,
			       __u32 udp_at, const struct cb_heartbeat *hb, __s64 difference)
{
	struct {
		__u8 destination[6], source[6];
	} macs;
	struct {
		__u8 source[4], destination[4];
	} ips;
	struct {
		__be16 source, destination;
	} ports;

	__builtin_memcpy(macs.destination, found->eth->source, 6);
	__builtin_memcpy(macs.source, found->eth->destination, 6);
	__builtin_memcpy(ips.source, found->ip->destination, 4);
	__builtin_memcpy(ips.destination, found->ip->source, 4);
	ports.source = found->udp->destination;
	ports.destination = found->udp->source;

	/*
	 * The helpers invalidate the pointers into the packet: nothing of `found` is used from here
	 * on. Swapped addresses and ports leave the checksums as they are; the payload's difference
	 * is added by a helper that knows whether the field is a sum, a seed for the card, or none.
	 */
	if (bpf_skb_store_bytes(skb, 0, &macs, sizeof(macs), 0) ||
	    bpf_skb_store_bytes(skb, ip_at + 12, &ips, sizeof(ips), 0) ||
	    bpf_skb_store_bytes(skb, udp_at, &ports, sizeof(ports), 0) ||
	    bpf_skb_store_bytes(skb, udp_at + sizeof(struct cb_udp), hb, sizeof(*hb), 0))
		return -1;
	return bpf_l4_csum_replace(skb, udp_at + 6, 0, difference, BPF_F_MARK_MANGLED_0);
}

SEC("tc")
int cb_network(struct __sk_buff *skb)
{
	const __u32 zero = 0;
	const struct cb_node *node;
	struct cb_heartbeat hb;
	struct cb_cursor cursor;
	struct cb_found found;
	struct cb_path *fresh;
	__u32 want, ip_at, udp_at, kind;
	__s64 difference;
	int broken;

	/* A tag means another network than ours, but for tag 0, which only carries a priority. */
	if (skb->protocol != CB_BE16(CB_ETH_IPV4) || skb->pkt_type != 0 /* PACKET_HOST */ ||
	    (skb->vlan_present && (skb->vlan_tci & 0xfff) != 0))
		return TC_ACT_UNSPEC;
	want = skb->len < CB_HEADERS_MAX ? skb->len : CB_HEADERS_MAX;
	if ((void *)(long)skb->data + want > (void *)(long)skb->data_end &&
	    bpf_skb_pull_data(skb, want))
		return TC_ACT_UNSPEC;
	cursor.at = (void *)(long)skb->data;
	cursor.end = (void *)(long)skb->data_end;

	node = bpf_map_lookup_elem(&cb_node, &zero);
	if (!node || !cb_find(&cursor, &found, 0, CB_READ_ONCE(node->udp_port), &broken) ||
	    !found.ip || !found.udp)
		return TC_ACT_UNSPEC;
	ip_at = sizeof(struct cb_eth);
	udp_at = ip_at + (found.ip->version_words & 0xf) * 4;
	if (broken || bpf_skb_load_bytes(skb, udp_at + sizeof(struct cb_udp), &hb, sizeof(hb))) {
		cb_count_drop(CB_DROP_SHORT);
		return TC_ACT_SHOT;
	}
	difference = bpf_csum_diff((__be32 *)&hb, sizeof(hb), 0, 0, 0);
	kind = cb_answer(node, &hb, CB_LINK_NETWORK, bpf_ktime_get_boot_ns(), &fresh);
	if (kind != CB_VERDICT_ANSWER)
		return TC_ACT_SHOT;
	difference = bpf_csum_diff(0, 0, (__be32 *)&hb, sizeof(hb), difference);
	if (cb_write_answer(skb, &found, ip_at, udp_at, &hb, difference))
		return TC_ACT_SHOT;
	return bpf_redirect(skb->ifindex, 0);
}
