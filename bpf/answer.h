/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * answer.h - one heartbeat, from the look-ups to the counters: what the programs of both links have
 * in common. The body is heartbeat.h; this is its binding to the maps.
 */
#ifndef CROSSBEAT_ANSWER_H
#define CROSSBEAT_ANSWER_H

#include "maps.h"

#define CB_BAD_TAGS_EVERY_NS 1000000000ull

/* Of this program since it was loaded, by path. */
static __u64 cb_bad_tags[CB_PATHS_MAX];
static __u64 cb_bad_tags_told_ns[CB_PATHS_MAX];

/*
 * Changes are rare and urgent, so the monitor is woken for each. A full ring loses records: they
 * are hints, and the truth is in the maps.
 */
CB_INLINE void cb_tell(__u32 kind, __u32 slot, __u32 link, __u64 now, __u64 value)
{
	struct cb_change change = {
		.kind = kind, .slot = slot, .link = link, .at_ns = now, .value = value
	};

	bpf_ringbuf_output(&cb_changes, &change, sizeof(change), BPF_RB_FORCE_WAKEUP);
}

CB_INLINE void cb_on_bad_tag(__u32 slot, __u32 link, __u64 now)
{
	const __u32 path = (slot * CB_LINKS + link) & (CB_PATHS_MAX - 1);
	const __u64 told = CB_READ_ONCE(cb_bad_tags_told_ns[path]);
	const __u64 count = CB_ATOMIC_ADD(&cb_bad_tags[path], 1) + 1;

	if (now - told < CB_BAD_TAGS_EVERY_NS && told != 0)
		return;
	if (CB_ATOMIC_CAS(&cb_bad_tags_told_ns[path], told, now) == told)
		cb_tell(CB_CHANGE_BAD_TAGS, slot, link, now, count);
}

/* Fills the view for a frame that says whose it is. Returns 0 when no pairing of ours is meant. */
CB_INLINE int cb_look_up(struct cb_view *view, const struct cb_node *node, __u64 pairing,
			 __u32 link, __u32 *slot_out)
{
	const __u32 *found = bpf_map_lookup_elem(&cb_index, &pairing);
	__u32 slot, path;

	if (!found)
		return 0;
	slot = *found;
	if (slot >= CB_PAIRINGS_MAX)
		return 0;
	path = slot * CB_LINKS + link;
	view->node = node;
	view->pair = bpf_map_lookup_elem(&cb_pairs, &slot);
	view->lease = bpf_map_lookup_elem(&cb_leases, &slot);
	view->keys = bpf_map_lookup_elem(&cb_keys, &slot);
	view->path = bpf_map_lookup_elem(&cb_paths, &path);
	view->probes = bpf_map_lookup_elem(&cb_probes, &path);
	if (!view->pair || !view->lease || !view->keys || !view->path || !view->probes)
		return 0;
	if (CB_READ_ONCE(view->pair->pairing) != pairing)
		return 0;
	view->granting = &view->lease->granting;
	*slot_out = slot;
	return 1;
}

/*
 * A frame that is ours by its address: takes it in, counts it and tells the monitor what changed.
 * Returns enum cb_verdict_kind; for CB_VERDICT_ANSWER *hb has become the answer. *fresh is the path
 * if the frame proved to be a new one of the peer, else NULL.
 */
CB_INLINE __u32 cb_answer(const struct cb_node *node, struct cb_heartbeat *hb, __u32 link,
			  __u64 now, struct cb_path **fresh)
{
	struct cb_verdict verdict;
	struct cb_view view;
	__u32 slot, why;

	*fresh = 0;
	why = cb_check_header(hb, link);
	if (why == CB_DROPS && !cb_look_up(&view, node, CB_BE64(hb->pairing), link, &slot))
		why = CB_DROP_PAIRING;
	if (why != CB_DROPS) {
		cb_count_drop(why);
		return CB_VERDICT_DROP;
	}
	verdict = cb_heartbeat(&view, hb, link, now);
	if (verdict.change)
		cb_tell(verdict.change, slot, link, now, verdict.change_value);
	if (verdict.kind == CB_VERDICT_DROP) {
		cb_count_drop(verdict.drop);
		if (verdict.drop == CB_DROP_TAG)
			cb_on_bad_tag(slot, link, now);
	} else if (CB_READ_ONCE(view.path->frame_ns) == now) {
		*fresh = view.path;
	}
	return verdict.kind;
}

#endif
