/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * maps.h - the maps of crossbeat_wire.h, for the programs. Every object defines all of them, pinned
 * by name, so whichever is loaded first creates them and the others share them. The types are in
 * BTF: bpftool prints named fields.
 */
#ifndef CROSSBEAT_MAPS_H
#define CROSSBEAT_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "heartbeat.h"

#define CB_SHARED_ARRAY(name, of, count)                                                           \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(map_flags, BPF_F_MMAPABLE);                                                 \
		__uint(max_entries, count);                                                        \
		__type(key, __u32);                                                                \
		__type(value, of);                                                                 \
		__uint(pinning, LIBBPF_PIN_BY_NAME);                                               \
	} name SEC(".maps")

CB_SHARED_ARRAY(cb_node, struct cb_node, 1);
CB_SHARED_ARRAY(cb_pairs, struct cb_pair, CB_PAIRINGS_MAX);
CB_SHARED_ARRAY(cb_leases, struct cb_lease, CB_PAIRINGS_MAX);
CB_SHARED_ARRAY(cb_paths, struct cb_path, CB_PATHS_MAX);
CB_SHARED_ARRAY(cb_probes, struct cb_probes, CB_PATHS_MAX);

/* Secret, so not for mapping. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CB_PAIRINGS_MAX);
	__type(key, __u32);
	__type(value, struct cb_keys);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} cb_keys SEC(".maps");

/*
 * Pairing id (host order) -> slot. Twice the slots: an index may be set before the one it replaces
 * is cleared.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CB_PAIRINGS_MAX * 2);
	__type(key, __u64);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} cb_index SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CB_ADDRESSES_MAX);
	__type(key, struct cb_address);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} cb_addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CB_DROPS);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} cb_drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CB_PAIRINGS_MAX);
	__type(key, __u32);
	__type(value, struct cb_guarded);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} cb_guarded SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, CB_CHANGES_BYTES);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} cb_changes SEC(".maps");

CB_INLINE void cb_count_drop(__u32 why)
{
	__u64 *count = bpf_map_lookup_elem(&cb_drops, &why);

	if (count)
		*count += 1;
}

#endif
