/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * parse.h - headers under a cursor. Each cb_take_x() returns the header at the cursor and moves the
 * cursor behind it, or returns NULL and leaves the cursor alone when the frame ends before the
 * header does or the header contradicts itself. Nothing is swapped: fields are as on the wire.
 *
 * Compiled as eBPF and natively, so that the fuzzer and the differential test run the very same
 * lines.
 */
#ifndef CROSSBEAT_PARSE_H
#define CROSSBEAT_PARSE_H

#include "heartbeat.h"

#ifdef __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#endif

#define CB_ETH_IPV4 0x0800
#define CB_ETH_ARP 0x0806
#define CB_ETH_VLAN 0x8100
#define CB_ETH_QINQ 0x88A8
#define CB_ETH_IPV6 0x86DD
#define CB_VLANS_MAX 2

#define CB_IP_UDP 17
#define CB_IP_ICMPV6 58

#define CB_NS 135 /* neighbour solicitation, RFC 4861 */
#define CB_NA 136 /* neighbour advertisement */

/* Byte-aligned, as frames are. */
#define CB_ON_WIRE __attribute__((packed, aligned(1), may_alias))

struct cb_eth {
	__u8 destination[6];
	__u8 source[6];
	__be16 type;
} CB_ON_WIRE;

struct cb_vlan {
	__be16 tag;
	__be16 type;
} CB_ON_WIRE;

struct cb_ipv4 {
	__u8 version_words; /* version in the high half, header length in words in the low one */
	__u8 tos;
	__be16 bytes;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__be16 check;
	__u8 source[4];
	__u8 destination[4];
} CB_ON_WIRE;

struct cb_ipv6 {
	__be32 version_flow;
	__be16 bytes; /* behind this header */
	__u8 next;
	__u8 hops;
	__u8 source[16];
	__u8 destination[16];
} CB_ON_WIRE;

struct cb_udp {
	__be16 source;
	__be16 destination;
	__be16 bytes; /* with this header */
	__be16 check;
} CB_ON_WIRE;

/* ARP for IPv4 over Ethernet: the only one there is for us (RFC 826). */
struct cb_arp {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_bytes;
	__u8 protocol_bytes;
	__be16 operation;
	__u8 sender_mac[6];
	__u8 sender[4];
	__u8 target_mac[6];
	__u8 target[4];
} CB_ON_WIRE;

/* ICMPv6 neighbour solicitation and advertisement (RFC 4861, 4.3 and 4.4). */
struct cb_nd {
	__u8 type;
	__u8 code;
	__be16 check;
	__be32 flags;
	__u8 target[16];
} CB_ON_WIRE;

CB_STATIC_ASSERT(sizeof(struct cb_eth) == 14, "wire layout");
CB_STATIC_ASSERT(sizeof(struct cb_ipv4) == 20, "wire layout");
CB_STATIC_ASSERT(sizeof(struct cb_ipv6) == 40, "wire layout");
CB_STATIC_ASSERT(sizeof(struct cb_udp) == 8, "wire layout");
CB_STATIC_ASSERT(sizeof(struct cb_arp) == 28, "wire layout");
CB_STATIC_ASSERT(sizeof(struct cb_nd) == 24, "wire layout");

/* Not memcmp: for some lengths it becomes a call, and there is nobody to call. */
CB_INLINE int cb_same(const __u8 *a, const __u8 *b, const int bytes)
{
	__u8 different = 0;

	for (int i = 0; i < bytes; i++)
		different |= a[i] ^ b[i];
	return different == 0;
}

struct cb_cursor {
	__u8 *at;
	__u8 *end;
};

/* The verifier wants the comparison in just this form: pointer + constant > end. */
#define CB_TAKE(cursor, type)                                                                      \
	({                                                                                         \
		type *cb_taken = (type *)(void *)(cursor)->at;                                     \
		if ((cursor)->at + sizeof(type) > (cursor)->end)                                   \
			cb_taken = 0;                                                              \
		else                                                                               \
			(cursor)->at += sizeof(type);                                              \
		cb_taken;                                                                          \
	})

/* The Ethernet header and up to two VLAN tags. *type gets what follows, in host order. */
CB_INLINE struct cb_eth *cb_take_eth(struct cb_cursor *cursor, __u32 *type)
{
	struct cb_eth *eth = CB_TAKE(cursor, struct cb_eth);

	if (!eth)
		return 0;
	*type = CB_BE16(eth->type);
#ifdef __clang__
#pragma unroll
#endif
	for (int i = 0; i < CB_VLANS_MAX; i++) {
		struct cb_vlan *vlan;

		if (*type != CB_ETH_VLAN && *type != CB_ETH_QINQ)
			break;
		vlan = CB_TAKE(cursor, struct cb_vlan);
		if (!vlan)
			return 0;
		*type = CB_BE16(vlan->type);
	}
	return eth;
}

/* With its options, so that the cursor is at the payload. */
CB_INLINE struct cb_ipv4 *cb_take_ipv4(struct cb_cursor *cursor)
{
	struct cb_ipv4 *ip = CB_TAKE(cursor, struct cb_ipv4);
	__u32 words;

	if (!ip || (ip->version_words >> 4) != 4)
		return 0;
	words = ip->version_words & 0xf;
	if (words < 5)
		return 0;
	cursor->at += (words - 5) * 4;
	if (cursor->at > cursor->end)
		return 0;
	return ip;
}

CB_INLINE struct cb_ipv6 *cb_take_ipv6(struct cb_cursor *cursor)
{
	struct cb_ipv6 *ip = CB_TAKE(cursor, struct cb_ipv6);

	if (!ip || (CB_BE32(ip->version_flow) >> 28) != 6)
		return 0;
	return ip;
}

CB_INLINE struct cb_arp *cb_take_arp(struct cb_cursor *cursor)
{
	struct cb_arp *arp = CB_TAKE(cursor, struct cb_arp);

	if (!arp || arp->hardware != CB_BE16(1) || arp->protocol != CB_BE16(CB_ETH_IPV4) ||
	    arp->hardware_bytes != 6 || arp->protocol_bytes != 4)
		return 0;
	return arp;
}

/*
 * ---- heartbeats: where in a frame is one?
 * ---------------------------------------------------------
 */

struct cb_found {
	struct cb_eth *eth;
	struct cb_ipv4 *ip; /* NULL: the heartbeat is right behind the Ethernet header */
	struct cb_udp *udp;
};

/*
 * Is the frame for us: EtherType CB_ETHERTYPE where `raw`, or a UDP datagram over IPv4 to `port`?
 * Then the cursor is left where the heartbeat must be. A datagram of another length than a
 * heartbeat's is for us as well: *broken says so. Fragments and group addresses are not for us:
 * nobody sends heartbeats that way.
 */
CB_INLINE int cb_find(struct cb_cursor *cursor, struct cb_found *found, int raw, __u32 port,
		      int *broken)
{
	__u32 type, bytes;

	*broken = 0;
	found->ip = 0;
	found->udp = 0;
	found->eth = cb_take_eth(cursor, &type);
	if (!found->eth)
		return 0;
	if (raw && type == CB_ETHERTYPE)
		return 1;
	if (type != CB_ETH_IPV4)
		return 0;
	found->ip = cb_take_ipv4(cursor);
	if (!found->ip || found->ip->protocol != CB_IP_UDP ||
	    (found->ip->fragment & CB_BE16(0x3fff)) != 0 || found->ip->destination[0] >= 224 ||
	    (found->eth->destination[0] & 1) != 0)
		return 0;
	found->udp = CB_TAKE(cursor, struct cb_udp);
	if (!found->udp || port == 0 || found->udp->destination != CB_BE16(port))
		return 0;
	bytes = sizeof(struct cb_udp) + sizeof(struct cb_heartbeat);
	*broken = CB_BE16(found->udp->bytes) != bytes ||
		  CB_BE16(found->ip->bytes) != (found->ip->version_words & 0xf) * 4 + bytes;
	return 1;
}

/* Sends the frame back where it came from. A frame to a group comes back from `self`. */
CB_INLINE void cb_turn_round(const struct cb_found *found, const __u8 self[6])
{
	struct cb_eth *eth = found->eth;
	const int group = eth->destination[0] & 1;

	for (int i = 0; i < 6; i++) {
		const __u8 to = eth->destination[i];

		eth->destination[i] = eth->source[i];
		eth->source[i] = group ? self[i] : to;
	}
	if (!found->ip)
		return;
	for (int i = 0; i < 4; i++) {
		const __u8 to = found->ip->destination[i];

		found->ip->destination[i] = found->ip->source[i];
		found->ip->source[i] = to;
	}
	{
		const __be16 to = found->udp->destination;

		found->udp->destination = found->udp->source;
		found->udp->source = to;
	}
	/*
	 * None: what was here may be the sum that the sender left to its card. The tag says more
	 * than a sum.
	 */
	found->udp->check = 0;
}

/*
 * ---- the guard: which addresses does a frame use or claim?
 * ----------------------------------------
 */

/* Up to two, as the guard looks them up; the second matters when nobody watches the first. */
struct cb_claims {
	struct cb_address address[2];
	__u32 count;
};

CB_INLINE void cb_claim_ipv4(struct cb_claims *claims, const __u8 address[4])
{
	struct cb_address *a = &claims->address[0];

	__builtin_memset(a->bytes, 0, 10);
	a->bytes[10] = 0xff;
	a->bytes[11] = 0xff;
	__builtin_memcpy(a->bytes + 12, address, 4);
	claims->count = 1;
}

/*
 * What the guard judges, coming in:             going out:
 *   IPv4, IPv6   the destination                  the source
 *   ARP          the target of a request,         the sender of anything: requests, replies,
 *                unless its sender claims the     announcements
 *                same address: then the other
 *                owner announces, and we must
 *                hear
 *   ND           the target of a solicitation     the target of an advertisement
 *
 * Replies and advertisements of others come in freely, and questions about the address go out
 * freely: that is how a node learns who holds it. ND behind IPv6 extension headers is not looked
 * for: our own kernel sends none, so whatever it is asked, its answer is judged going out.
 */
CB_INLINE int cb_find_claims(struct cb_cursor *cursor, int egress, struct cb_claims *claims)
{
	__u32 type;

	claims->count = 0;
	if (!cb_take_eth(cursor, &type))
		return 0;
	if (type == CB_ETH_IPV4) {
		const struct cb_ipv4 *ip = CB_TAKE(cursor, struct cb_ipv4);

		if (ip)
			cb_claim_ipv4(claims, egress ? ip->source : ip->destination);
	} else if (type == CB_ETH_ARP) {
		const struct cb_arp *arp = cb_take_arp(cursor);

		if (!arp)
			return 0;
		if (egress)
			cb_claim_ipv4(claims, arp->sender);
		else if (arp->operation == CB_BE16(1) && !cb_same(arp->sender, arp->target, 4))
			cb_claim_ipv4(claims, arp->target);
	} else if (type == CB_ETH_IPV6) {
		const struct cb_ipv6 *ip = cb_take_ipv6(cursor);
		const struct cb_nd *nd;

		if (!ip)
			return 0;
		__builtin_memcpy(claims->address[0].bytes, egress ? ip->source : ip->destination, 16);
		claims->count = 1;
		if (ip->next != CB_IP_ICMPV6)
			return 1;
		nd = CB_TAKE(cursor, struct cb_nd);
		if (nd && nd->type == (egress ? CB_NA : CB_NS)) {
			__builtin_memcpy(claims->address[1].bytes, nd->target, 16);
			claims->count = 2;
		}
	}
	return claims->count != 0;
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
#endif

#endif
