/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * The wires of the lab (see wire.h): loses what the wire loses, and carries what came in at one end of
 * the cable to its other end. tc programs and not XDP, so that tcpdump on a port sees the frames. They
 * need no netem and no matchall, which small kernels do not have.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "tests/support/lab/wire.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WIRE_PORTS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct wire_port);
} wire_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WIRE_NODES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct wire_dead);
} wire_dead SEC(".maps");

static __always_inline int lost(const struct wire_port *port, int direction)
{
	__u32 node = port->node;
	const struct wire_dead *power = bpf_map_lookup_elem(&wire_dead, &node);

	if (power && power->dead)
		return 1;
	if (!port->lost_ppm[direction])
		return 0;
	return bpf_get_prandom_u32() % WIRE_CUT < port->lost_ppm[direction];
}

SEC("tc")
int wire_in(struct __sk_buff *skb)
{
	__u32 index = skb->ifindex;
	struct wire_port *port = bpf_map_lookup_elem(&wire_ports, &index);

	if (!port)
		return TC_ACT_OK;
	if (lost(port, WIRE_IN)) {
		__sync_fetch_and_add(&port->dropped[WIRE_IN], 1);
		return TC_ACT_SHOT;
	}
	__sync_fetch_and_add(&port->passed[WIRE_IN], 1);
	if (port->forward_to)
		return bpf_redirect(port->forward_to, 0);
	return TC_ACT_OK;
}

SEC("tc")
int wire_out(struct __sk_buff *skb)
{
	__u32 index = skb->ifindex;
	struct wire_port *port = bpf_map_lookup_elem(&wire_ports, &index);

	if (!port)
		return TC_ACT_OK;
	if (lost(port, WIRE_OUT)) {
		__sync_fetch_and_add(&port->dropped[WIRE_OUT], 1);
		return TC_ACT_SHOT;
	}
	__sync_fetch_and_add(&port->passed[WIRE_OUT], 1);
	return TC_ACT_OK;
}

/*
 * For the far end of a veth pair: what a node's native XDP program sends back (XDP_TX) arrives only where
 * some XDP program is attached; elsewhere it is stranded in the ring. "frags", or MTU 9000 is refused.
 */
SEC("xdp.frags")
int wire_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char wire_license[] SEC("license") = "GPL";
