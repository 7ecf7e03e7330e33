/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * heartbeat.h - the one body that both links run, in the kernel and in the simulator.
 *
 *   probe  --> cb_heartbeat(): authenticate, refuse replays, take in the peer's facts, extend our
 *              lease by what the probe echoes, turn the frame round into an answer with our facts and
 *              our grant, sign.
 *   answer --> cb_heartbeat(): authenticate, match an outstanding probe, take in the facts, extend
 *              our lease.
 *   cb_make_probe(): what the probe thread sends; the same bookkeeping of grants as an answer.
 *   cb_guard_shut(): may the virtual address pass now?
 *   cb_write_facts(), cb_read_peer(): the monitor's side of the two records that are longer than one
 *   word.
 *
 * Plain C on pointers, no helper but what the CB_ATOMIC macros name; `now` is a parameter. Compiles as
 * eBPF, C and C++.
 *
 * The lease (docs/protocol.md): a frame with grant g says "I will not start to serve before g has
 * passed since this frame". It also echoes a stamp of ours, so it was made after that stamp on OUR
 * clock: counting g from the stamp is safe whatever the delays. The grantor records the end of each
 * grant on ITS clock before the frame leaves, and must wait it out before it serves. `granting`
 * closes the race between reading grant_us and recording: who stops granting sets grant_us = 0, waits
 * until every `granting` is 0, then reads granted_until_ns.
 */
#ifndef CROSSBEAT_HEARTBEAT_H
#define CROSSBEAT_HEARTBEAT_H

#include "crossbeat_wire.h"
#include "siphash.h"

#define CB_INLINE static inline __attribute__((always_inline, unused))

#define CB_BE16(x) __builtin_bswap16(x)
#define CB_BE32(x) __builtin_bswap32(x)
#define CB_BE64(x) __builtin_bswap64(x)
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "crossbeat supports little-endian machines"
#endif

#ifdef __cplusplus
#define CB_READ_ONCE(x) (*const_cast<const volatile __typeof__(x) *>(&(x)))
#define CB_WRITE_ONCE(x, v) (*const_cast<volatile __typeof__(x) *>(&(x)) = (v))
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wshadow" /* struct cb_heartbeat and the function of that name */
#else
#define CB_READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define CB_WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#endif
#define CB_ATOMIC_ADD(p, v) __sync_fetch_and_add(p, v)
#define CB_ATOMIC_CAS(p, o, n) __sync_val_compare_and_swap(p, o, n)

/*
 * Orders what is before against what follows. x86 never reorders two loads or two stores, so for a
 * seqlock the compiler alone must be told; eBPF has no fence instruction, but an atomic whose
 * result is used is one.
 */
#if defined(__bpf__) && defined(__TARGET_ARCH_x86)
#define CB_ORDER() __asm__ volatile("" ::: "memory")
#elif defined(__bpf__)
#define CB_ORDER()                                                                                 \
	do {                                                                                       \
		__u64 cb_here = 0, cb_was = __sync_fetch_and_add(&cb_here, 1);                     \
		__asm__ volatile("" : : "r"(cb_was) : "memory");                                   \
	} while (0)
#else
#define CB_ORDER() __sync_synchronize()
#endif

/* Everything one frame may touch; pointers into map values, never null. */
struct cb_view {
	const struct cb_node *node;
	const struct cb_pair *pair;
	struct cb_lease *lease;
	struct cb_path *path;
	const struct cb_probes *probes;
	const struct cb_keys *keys;
	/* The programs: &lease->granting. User space: a counter of its own, which dies with it. */
	__u64 *granting;
};

enum cb_verdict_kind {
	CB_VERDICT_DROP = 0, /* count `drop`, drop the frame */
	CB_VERDICT_ANSWER = 1, /* the frame is now the answer: send it back */
	CB_VERDICT_TAKEN = 2, /* an answer to us, consumed: drop the frame, count nothing */
};

struct cb_verdict {
	__u32 kind; /* enum cb_verdict_kind */
	__u32 drop; /* enum cb_drop */
	__u32 change; /* 0 or enum cb_change_kind: tell the monitor */
	__u32 pad;
	__u64 change_value;
};

/*
 * A value that only ever grows, written by several CPUs. Returns 1 when it moved it: 0 also after
 * losing four races.
 */
CB_INLINE int cb_raise(__u64 *value, __u64 to)
{
	__u64 seen = CB_READ_ONCE(*value);

	for (int i = 0; i < 4; i++) {
		__u64 old;

		if (seen >= to)
			return 0;
		old = CB_ATOMIC_CAS(value, seen, to);
		if (old == seen)
			return 1;
		seen = old;
	}
	return 0;
}

#ifdef __bpf__
/*
 * A function of its own, and a global one: the verifier looks at it once in place of once per way
 * through a program.
 */
struct cb_key {
	__u64 words[2];
};

__attribute__((noinline)) __u64 cb_sign_frame(const struct cb_key *key, const struct cb_heartbeat *hb)
{
	if (!key || !hb)
		return 0;
	return cb_siphash(key->words, (const __u64 *)(const void *)hb, CB_TAGGED_BYTES / 8);
}

CB_INLINE __u64 cb_sign(const __u64 key[2], const struct cb_heartbeat *hb)
{
	return cb_sign_frame((const struct cb_key *)(const void *)key, hb);
}
#else
CB_INLINE __u64 cb_sign(const __u64 key[2], const struct cb_heartbeat *hb)
{
	return cb_siphash(key, (const __u64 *)(const void *)hb, CB_TAGGED_BYTES / 8);
}
#endif

CB_INLINE __u32 cb_saturate_us(__u64 ns)
{
	__u64 us = ns / 1000;

	return us > 0xffffffffu ? 0xffffffffu : (__u32)us;
}

CB_INLINE __u32 cb_monitor_age_us(const struct cb_node *node, __u64 now)
{
	__u64 beat = CB_READ_ONCE(node->beat_ns);

	if (beat == 0)
		return 0xffffffffu;
	return now > beat ? cb_saturate_us(now - beat) : 0;
}

/*
 * Writes our facts into a frame. Returns 0 when they changed meanwhile (the caller drops; the next
 * one works). A monitor that is killed or held up while it writes hinders nobody: what it last
 * published holds, since silence would tell the peer that our kernel is dead.
 */
CB_INLINE int cb_fill_facts(struct cb_heartbeat *hb, const struct cb_view *v, __u64 now)
{
	const int exited = CB_READ_ONCE(v->node->exit_ns) != 0;
	const __u64 turn = CB_READ_ONCE(v->pair->turn);
	const struct cb_facts *f = &v->pair->facts[turn & 1];
	__u32 flags;

	CB_ORDER();
	flags = CB_READ_ONCE(f->flags);
	if (exited)
		flags |= CB_FACT_MONITOR_EXITED;
	hb->term = CB_BE64(CB_READ_ONCE(f->term));
	hb->command_term = CB_BE64(CB_READ_ONCE(f->command_term));
	hb->position = CB_BE64(CB_READ_ONCE(f->position));
	hb->flags = CB_BE32(flags);
	hb->state = CB_READ_ONCE(f->state);
	hb->role = CB_READ_ONCE(f->role);
	hb->intent = CB_READ_ONCE(f->intent);
	hb->sub_state = CB_READ_ONCE(f->sub_state);
	hb->wanted_grant_us = CB_BE32(CB_READ_ONCE(f->wanted_grant_us));
	hb->progress_permille = CB_BE16(CB_READ_ONCE(f->progress_permille));
	hb->unanswered[0] = CB_READ_ONCE(f->unanswered[0]);
	hb->unanswered[1] = CB_READ_ONCE(f->unanswered[1]);
	hb->wall_offset_ns = CB_BE64(CB_READ_ONCE(v->node->wall_offset_ns));
	hb->session = CB_BE64(CB_READ_ONCE(v->node->session));
	hb->monitor_age_us = CB_BE32(cb_monitor_age_us(v->node, now));
	hb->boot = CB_BE64(CB_READ_ONCE(v->node->boot));
	hb->stamp_ns = CB_BE64(now);
	CB_ORDER();
	/* Our copy is written again only after the turn has moved on. */
	return CB_READ_ONCE(v->pair->turn) == turn;
}

/* What holds. For the writer, and for whoever knows that nobody writes. */
CB_INLINE struct cb_facts *cb_facts_of(struct cb_pair *pair)
{
	return &pair->facts[CB_READ_ONCE(pair->turn) & 1];
}

/* Publishes our facts. One writer: the monitor. */
CB_INLINE void cb_write_facts(struct cb_pair *pair, const struct cb_facts *facts)
{
	const __u64 turn = CB_READ_ONCE(pair->turn) + 1;
	struct cb_facts *to = &pair->facts[turn & 1];

	CB_ORDER(); /* the turn before this one was published before its copy is overwritten */
	CB_WRITE_ONCE(to->term, facts->term);
	CB_WRITE_ONCE(to->command_term, facts->command_term);
	CB_WRITE_ONCE(to->position, facts->position);
	CB_WRITE_ONCE(to->flags, facts->flags);
	CB_WRITE_ONCE(to->state, facts->state);
	CB_WRITE_ONCE(to->role, facts->role);
	CB_WRITE_ONCE(to->intent, facts->intent);
	CB_WRITE_ONCE(to->sub_state, facts->sub_state);
	CB_WRITE_ONCE(to->wanted_grant_us, facts->wanted_grant_us);
	CB_WRITE_ONCE(to->progress_permille, facts->progress_permille);
	CB_WRITE_ONCE(to->unanswered[0], facts->unanswered[0]);
	CB_WRITE_ONCE(to->unanswered[1], facts->unanswered[1]);
	CB_ORDER();
	CB_WRITE_ONCE(pair->turn, turn);
}

/*
 * Puts our grant into the frame and records its end. Must be the last thing before signing. The
 * peer counts the grant from the stamp of its own that the frame echoes; `heard` is when that stamp
 * was here, on our clock, so the grant has ended here at heard + grant. For a probe that may be
 * long ago: a peer that has fallen silent cannot have its lease extended by what we send, and
 * waiting it out costs nothing after the silence was proved.
 */
CB_INLINE void cb_fill_grant(struct cb_heartbeat *hb, const struct cb_view *v, __u64 heard)
{
	__u32 grant;
	__u64 others = CB_ATOMIC_ADD(v->granting, 1);

	/* Using the result makes the addition a fence everywhere: grant_us is read after it. */
	__asm__ volatile("" : : "r"(others) : "memory");
	grant = CB_READ_ONCE(v->pair->grant_us);
	if (grant > CB_GRANT_US_MAX)
		grant = CB_GRANT_US_MAX;
	/* What could not be recorded is not granted. */
	if (grant && !cb_raise(&v->lease->granted_until_ns, heard + (__u64)grant * 1000) &&
	    CB_READ_ONCE(v->lease->granted_until_ns) < heard + (__u64)grant * 1000)
		grant = 0;
	CB_ORDER();
	CB_ATOMIC_ADD(v->granting, (__u64)-1);
	hb->grant_us = CB_BE32(grant);
}

/*
 * Takes in what the peer says. Returns 1 when something changed that the monitor must know at once.
 */
CB_INLINE int cb_take_facts(struct cb_path *path, const struct cb_heartbeat *hb, __u64 now)
{
	struct cb_peer_facts *p = &path->peer;
	const __u64 term = CB_BE64(hb->term), session = CB_BE64(hb->session);
	const __u32 flags = CB_BE32(hb->flags);
	const int changed = p->flags != flags || p->state != hb->state || p->intent != hb->intent ||
			    p->term != term || p->session != session ||
			    p->sub_state != hb->sub_state;

	const __u64 generation = CB_READ_ONCE(p->generation);

	/*
	 * Two CPUs at once on one path: the second leaves it; the facts come again with the next
	 * frame.
	 */
	if ((generation & 1) ||
	    CB_ATOMIC_CAS(&p->generation, generation, generation + 1) != generation)
		return changed;
	p->received_ns = now;
	p->stamp_ns = CB_BE64(hb->stamp_ns);
	p->session = session;
	p->term = term;
	p->command_term = CB_BE64(hb->command_term);
	p->position = CB_BE64(hb->position);
	p->wall_offset_ns = CB_BE64(hb->wall_offset_ns);
	p->flags = flags;
	p->state = hb->state;
	p->role = hb->role;
	p->intent = hb->intent;
	p->sub_state = hb->sub_state;
	p->monitor_age_us = CB_BE32(hb->monitor_age_us);
	p->grant_us = CB_BE32(hb->grant_us);
	p->wanted_grant_us = CB_BE32(hb->wanted_grant_us);
	p->progress_permille = CB_BE16(hb->progress_permille);
	p->unanswered[0] = hb->unanswered[0];
	p->unanswered[1] = hb->unanswered[1];
	CB_ORDER();
	CB_WRITE_ONCE(p->generation, generation + 2);
	return changed;
}

/*
 * A consistent copy of what the peer last said. Returns 0 when it is being written right now: try
 * again.
 */
CB_INLINE int cb_read_peer(const struct cb_path *path, struct cb_peer_facts *out)
{
	const struct cb_peer_facts *p = &path->peer;
	const __u64 generation = CB_READ_ONCE(p->generation);

	if (generation & 1)
		return 0;
	CB_ORDER();
	__builtin_memcpy(out, p, sizeof(*out));
	CB_ORDER();
	return CB_READ_ONCE(p->generation) == generation;
}

/*
 * A frame of the proved boot arrived. Returns 1 unless a frame made later was here before it: it is
 * then old news and refreshes nothing, or a probe recorded before we last booted could pass for
 * life until its sequence is overtaken.
 */
CB_INLINE int cb_take_stamp(struct cb_path *path, __u64 stamp, __u64 now)
{
	if (stamp < CB_READ_ONCE(path->heard_ns))
		return 0;
	/*
	 * In this order: whoever reads heard_ns and then frame_ns knows that the stamp was here by
	 * then.
	 */
	cb_raise(&path->frame_ns, now);
	CB_ORDER();
	cb_raise(&path->heard_ns, stamp);
	return 1;
}

/* Our lease from a fresh frame that echoes a stamp of ours made in this boot. */
CB_INLINE void cb_take_grant(const struct cb_view *v, const struct cb_heartbeat *hb, __u64 *counter)
{
	__u32 grant = CB_BE32(hb->grant_us);

	if (hb->heard_boot != CB_BE64(v->node->boot) || !grant)
		return;
	if (grant > CB_GRANT_US_MAX)
		grant = CB_GRANT_US_MAX;
	if (cb_raise(&v->lease->lease_until_ns, CB_BE64(hb->heard_ns) + (__u64)grant * 1000))
		CB_ATOMIC_ADD(counter, 1);
}

CB_INLINE int cb_log2(__u64 v)
{
	int r = 0;

	if (v >> 32) {
		return CB_RTT_BUCKETS - 1;
	}
	if (v >> 16) {
		v >>= 16;
		r += 16;
	}
	if (v >> 8) {
		v >>= 8;
		r += 8;
	}
	if (v >> 4) {
		v >>= 4;
		r += 4;
	}
	if (v >> 2) {
		v >>= 2;
		r += 2;
	}
	if (v >> 1)
		r += 1;
	return r & (CB_RTT_BUCKETS - 1);
}

CB_INLINE struct cb_verdict cb_dropped(__u32 why)
{
	struct cb_verdict out = { CB_VERDICT_DROP, why, 0, 0, 0 };

	return out;
}

/* The peer's probe: turn it round in place. */
CB_INLINE struct cb_verdict cb_on_probe(const struct cb_view *v, struct cb_heartbeat *hb,
					__u32 link, __u64 now)
{
	struct cb_path *path = v->path;
	struct cb_verdict out = { CB_VERDICT_ANSWER, 0, 0, 0, 0 };
	const __u64 boot = CB_BE64(hb->boot), sequence = CB_BE64(hb->sequence),
		    stamp = CB_BE64(hb->stamp_ns);
	/*
	 * An unproved boot is answered, so that both can prove each other, but it moves nothing and
	 * is granted nothing: the frame may be a recording from an earlier life of the peer.
	 */
	const int fresh = boot == path->peer_boot && boot != 0;
	int news = 0;

	if (boot == CB_READ_ONCE(v->node->boot))
		return cb_dropped(CB_DROP_OTHER_BOOT);
	if (fresh) {
		if (!cb_raise(&path->probe_sequence, sequence))
			return cb_dropped(CB_DROP_REPLAYED_PROBE);
		if (hb->heard_boot == CB_BE64(v->node->boot) && CB_BE64(hb->heard_ns) > now)
			return cb_dropped(CB_DROP_FUTURE);
		cb_take_grant(v, hb, &v->lease->extended_by_probes);
		news = cb_take_stamp(path, stamp, now);
		if (news && cb_take_facts(path, hb, now))
			out.change = CB_CHANGE_FACTS;
	}
	CB_ATOMIC_ADD(&path->probes_received, 1);

	hb->kind = CB_ANSWER;
	hb->heard_boot = hb->boot;
	hb->heard_ns = hb->stamp_ns;
	if (!cb_fill_facts(hb, v, now)) {
		out.kind = CB_VERDICT_DROP; /* but what changed is told: the facts were taken in */
		out.drop = CB_DROP_BUSY;
		return out;
	}
	if (news)
		cb_fill_grant(hb, v, now);
	else
		hb->grant_us = 0;
	hb->tag = cb_sign(v->keys->transmit[link], hb);
	CB_ATOMIC_ADD(&path->answers_sent, 1);
	return out;
}

/* An answer: it counts only if it matches a probe that is outstanding. */
CB_INLINE struct cb_verdict cb_on_answer(const struct cb_view *v, const struct cb_heartbeat *hb,
					 __u64 now)
{
	struct cb_path *path = v->path;
	struct cb_verdict out = { CB_VERDICT_TAKEN, 0, 0, 0, 0 };
	const __u64 boot = CB_BE64(hb->boot), sequence = CB_BE64(hb->sequence),
		    stamp = CB_BE64(hb->heard_ns);
	const __u64 newest = CB_READ_ONCE(v->probes->sequence);
	const __u64 answered = path->answered_sequence;
	__u64 rtt;

	if (hb->heard_boot != CB_BE64(CB_READ_ONCE(v->node->boot)) ||
	    boot == CB_READ_ONCE(v->node->boot) || boot == 0)
		return cb_dropped(CB_DROP_OTHER_BOOT);
	if (sequence == 0 || sequence > newest || newest - sequence >= CB_PROBE_RING ||
	    CB_READ_ONCE(v->probes->sent_ns[sequence & (CB_PROBE_RING - 1)]) != stamp || stamp == 0)
		return cb_dropped(CB_DROP_UNMATCHED_ANSWER);
	if (stamp > now)
		return cb_dropped(CB_DROP_FUTURE);
	if (!cb_raise(&path->answered_sequence, sequence))
		return cb_dropped(CB_DROP_STALE_ANSWER);

	if (CB_READ_ONCE(path->peer_boot) != boot) {
		/*
		 * Proved alive in a new boot: what was heard from the old one no longer counts. In
		 * this order, and cb_make_probe() reads in the opposite one: a probe must not echo
		 * a stamp under another boot.
		 */
		CB_WRITE_ONCE(path->peer_boot, 0);
		CB_ORDER();
		CB_WRITE_ONCE(path->probe_sequence, 0);
		CB_WRITE_ONCE(path->heard_ns, 0);
		CB_ORDER();
		CB_WRITE_ONCE(path->peer_boot, boot);
		out.change = CB_CHANGE_PEER_BOOT;
		out.change_value = boot;
	} else if (answered == 0 || sequence - answered >= CB_PROBE_RING) {
		out.change = CB_CHANGE_FIRST_ANSWER;
	}
	cb_raise(&path->answered_ns, now);
	cb_take_grant(v, hb, &v->lease->extended_by_answers);
	/* It answers a probe of ours: life, even if a later frame was faster. */
	cb_raise(&path->frame_ns, now);
	if (cb_take_stamp(path, CB_BE64(hb->stamp_ns), now) && cb_take_facts(path, hb, now) &&
	    !out.change)
		out.change = CB_CHANGE_FACTS;

	rtt = now - stamp;
	path->rtt_last_ns = rtt;
	if (path->rtt_min_ns == 0 || rtt < path->rtt_min_ns)
		path->rtt_min_ns = rtt;
	path->rtt_sum_ns += rtt;
	path->answers_received += 1;
	path->rtt_histogram[cb_log2(rtt)] += 1;
	return out;
}

/*
 * The checks that need no pairing. Returns CB_DROPS when the frame may go on to the look-up of
 * hb->pairing.
 */
CB_INLINE __u32 cb_check_header(const struct cb_heartbeat *hb, __u32 link)
{
	if (hb->magic != CB_BE32(CB_MAGIC))
		return CB_DROP_MAGIC;
	if (hb->version != CB_VERSION)
		return CB_DROP_VERSION;
	if (hb->kind != CB_PROBE && hb->kind != CB_ANSWER)
		return CB_DROP_KIND;
	if (hb->link != link)
		return CB_DROP_LINK;
	return CB_DROPS;
}

/*
 * The whole frame, after cb_check_header() and the look-ups. `hb` has 128 readable and writable
 * bytes.
 */
CB_INLINE struct cb_verdict cb_heartbeat(const struct cb_view *v, struct cb_heartbeat *hb,
					 __u32 link, __u64 now)
{
	link &= CB_LINKS - 1;
	if (cb_sign(v->keys->receive[link], hb) != hb->tag)
		return cb_dropped(CB_DROP_TAG);
	if (hb->kind == CB_PROBE)
		return cb_on_probe(v, hb, link, now);
	return cb_on_answer(v, hb, now);
}

/*
 * Makes the next probe of a path: the probe thread's side. The caller has not yet stored it in
 * cb_probes: it stores sent_ns[sequence % CB_PROBE_RING] = now, then sequence, and only then sends.
 * Returns 0 when our facts changed meanwhile: try again.
 */
CB_INLINE int cb_make_probe(const struct cb_view *v, struct cb_heartbeat *hb, __u32 link,
			    __u64 sequence, __u64 now)
{
	__builtin_memset(hb, 0, sizeof(*hb));
	hb->magic = CB_BE32(CB_MAGIC);
	hb->version = CB_VERSION;
	hb->kind = CB_PROBE;
	hb->link = (__u8)link;
	hb->pairing = CB_BE64(v->pair->pairing);
	hb->sequence = CB_BE64(sequence);
	if (!cb_fill_facts(hb, v, now))
		return 0;
	hb->heard_boot = CB_BE64(CB_READ_ONCE(v->path->peer_boot));
	CB_ORDER();
	hb->heard_ns = CB_BE64(CB_READ_ONCE(v->path->heard_ns));
	CB_ORDER();
	/* What echoes nothing extends nothing, and grants nothing. */
	if (hb->heard_ns)
		cb_fill_grant(hb, v, CB_READ_ONCE(v->path->frame_ns));
	hb->tag = cb_sign(v->keys->transmit[link & (CB_LINKS - 1)], hb);
	return 1;
}

/*
 * May this pairing's virtual address pass now? Returns 0 open, or why not: 1 closed, 2 lease over,
 * 3 monitor not fresh.
 */
CB_INLINE int cb_guard_shut(const struct cb_node *node, const struct cb_pair *pair,
			    const struct cb_lease *lease, __u64 now)
{
	const __u32 mode = CB_READ_ONCE(pair->guard_mode);

	if (mode == CB_GUARD_SOLO)
		return 0;
	if (mode != CB_GUARD_LEASED)
		return 1;
	if (now >= CB_READ_ONCE(lease->lease_until_ns))
		return 2;
	if (now >= CB_READ_ONCE(node->fresh_until_ns))
		return 3;
	return 0;
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
#endif

#endif
