/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * One program of each kind that Crossbeat attaches, as small as can be: the selftest loads and exercises
 * them in the guest, to tell "the kernel or the harness cannot do this" from "our program is wrong".
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define FIXTURE_ETHERTYPE 0x88b5

enum fixture_slot {
	FIXTURE_TURNED_ROUND,
	FIXTURE_EGRESS,
	FIXTURE_EXITS,
	FIXTURE_SLOTS,
};

struct fixture_count {
	__u64 seen;
	__u64 last_boot_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FIXTURE_SLOTS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct fixture_count);
} fixture_counts SEC(".maps");

static __always_inline void count(__u32 slot)
{
	struct fixture_count *c = bpf_map_lookup_elem(&fixture_counts, &slot);

	if (!c)
		return;
	__sync_fetch_and_add(&c->seen, 1);
	c->last_boot_ns = bpf_ktime_get_boot_ns();
}

/* Sends frames of one EtherType back where they came from. */
SEC("xdp")
int fixture_xdp(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	unsigned char mac[ETH_ALEN];

	if ((void *)(eth + 1) > end || eth->h_proto != bpf_htons(FIXTURE_ETHERTYPE))
		return XDP_PASS;
	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
	count(FIXTURE_TURNED_ROUND);
	return XDP_TX;
}

/* For the far end of a veth pair: XDP_TX frames arrive there only where some XDP program is attached. */
SEC("xdp")
int fixture_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

/* Drops IPv4 towards 192.0.2.9 (TEST-NET-1), counts and passes everything else. */
SEC("tc")
int fixture_tc(struct __sk_buff *skb)
{
	__be32 destination;

	count(FIXTURE_EGRESS);
	if (skb->protocol == bpf_htons(ETH_P_IP) &&
	    !bpf_skb_load_bytes(skb, ETH_HLEN + 16, &destination, sizeof(destination)) &&
	    destination == bpf_htonl(0xc0000209))
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

SEC("raw_tp/sched_process_exit")
int fixture_exit(struct bpf_raw_tracepoint_args *ctx)
{
	(void)ctx;
	count(FIXTURE_EXITS);
	return 0;
}

char fixture_license[] SEC("license") = "GPL";
