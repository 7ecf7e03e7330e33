/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * crossbeat_wire.h - THE contract: the frame on the wire, the records in the pinned maps, the changes
 * on the ring, names and limits. Included by the eBPF programs, by the C++ programs, by the simulator and
 * by the tests; there is no second copy. Changing the first section changes CB_VERSION; changing the second
 * changes CB_MAPS_VERSION (a monitor refuses pinned maps of another layout and says what to do).
 *
 * Clock: every *_ns below is CLOCK_BOOTTIME of the machine that wrote it, in nanoseconds
 * (bpf_ktime_get_boot_ns in the kernel). The two machines' clocks are never compared.
 */
#ifndef CROSSBEAT_WIRE_H
#define CROSSBEAT_WIRE_H

#include <linux/types.h>

#ifdef __cplusplus
#define CB_STATIC_ASSERT(cond, why) static_assert(cond, why)
#else
#define CB_STATIC_ASSERT(cond, why) _Static_assert(cond, why)
#endif

/* ---- 1. wire: big-endian, no padding, CB_VERSION ------------------------------------------------- */

#define CB_MAGIC 0x58424541u /* "XBEA" */
#define CB_VERSION 1
#define CB_ETHERTYPE 0x88B5 /* IEEE 802 local experimental; direct link */
#define CB_UDP_PORT_DEFAULT 7388 /* network link */

enum cb_kind {
	CB_PROBE = 1, /* sent by a monitor */
	CB_ANSWER = 2, /* the probe turned round by the peer's kernel */
};

enum cb_link {
	CB_LINK_DIRECT = 0, /* the cable between the two nodes */
	CB_LINK_NETWORK = 1, /* the service network */
	CB_LINKS = 2,
};

/* What the sender wants of its peer; level-triggered: repeated in every frame until it no longer holds. */
enum cb_intent {
	CB_INTENT_NONE = 0,
	CB_INTENT_HAND_OVER = 1, /* I am in command and stepping down: take command once I say CB_FACT_RELEASED */
	CB_INTENT_WANT_COMMAND = 2, /* an operator or policy asks you to hand command over to me */
	CB_INTENT_GOODBYE = 3, /* I stop on purpose: do not take it for a failure */
};

/* Facts as flags. One word together with state, role, intent and sub-state, so they are read in one piece. */
enum cb_fact {
	CB_FACT_SERVING = 1u << 0, /* in command: I hold the address, under a lease or solo */
	CB_FACT_SOLO = 1u << 1, /* serving without a lease: nobody else may serve */
	CB_FACT_RELEASED = 1u << 2, /* guard closed and address removed: I do not serve and will not until you have */
	CB_FACT_ELIGIBLE = 1u << 3, /* I could take command now: in step, not stale, healthy enough */
	CB_FACT_STALE = 1u << 4, /* peer may have gone on without me: not eligible until in step */
	CB_FACT_IN_STEP = 1u << 5, /* my data is in step with the node in command */
	CB_FACT_NETWORK_OK = 1u << 6, /* my service interface has carrier and my gateway answers */
	CB_FACT_SERVICES_OK = 1u << 7, /* my services are healthy (or dormant, as they should be) */
	CB_FACT_MAINTENANCE = 1u << 8, /* no automatic moves, by an operator */
	CB_FACT_RESTARTING = 1u << 9, /* planned monitor restart: wanted_grant_us asks for a long grant */
	CB_FACT_FAILOVER_AUTO = 1u << 10, /* I would take over by myself: automatic, not in maintenance, below the flap limit */
	CB_FACT_FAILBACK_AUTO = 1u << 11, /* configured failback type of this node */
	CB_FACT_LONG_GRANT = 1u << 12, /* I gave the long grant that you asked for */
	CB_FACT_UNPAIRING = 1u << 13, /* I am removing this pairing */
	CB_FACT_MONITOR_EXITED = 1u << 14, /* set by the kernel: my monitor process is gone */
	CB_FACT_PEER_STALE = 1u << 15, /* I served without you, now or before: your data is stale until in step */
	CB_FACT_ON_REQUEST = 1u << 16, /* an operator asked for the hand-over that my intent speaks of */
	CB_FACT_FORCED = 1u << 17, /* ... and accepted the risk that was named */
	CB_FACT_CLAIM_ABOVE = 1u << 18, /* I may have forgotten a term that I served in: no grant below my term, claim one above it */
};

struct cb_heartbeat {
	__be32 magic;
	__u8 version;
	__u8 kind; /* enum cb_kind */
	__u8 link; /* enum cb_link */
	__u8 reserved; /* sent as 0, ignored */
	__be64 pairing; /* random id made at pairing */
	__be64 boot; /* sender's boot id: new at every start of the machine */
	__be64 stamp_ns; /* sender's clock when this frame was made (for an answer: when the probe was received) */
	__be64 heard_boot; /* answer: the probe's boot. probe: the peer's boot as proved, 0 if unknown */
	__be64 heard_ns; /* answer: the probe's stamp_ns. probe: newest stamp_ns heard from heard_boot */
	__be64 sequence; /* probe: strictly increasing per link within a boot. answer: the probe's */
	__be64 term; /* sender's term */
	__be64 command_term; /* term in which the sender was last in command (ledger), 0 never */
	__be64 position; /* data position */
	__be32 monitor_age_us; /* since the sender's control loop last completed a turn; saturates */
	__be32 grant_us; /* the sender will not start to serve before this has passed since this frame; 0 none */
	__u8 state; /* enum core::StateName as number */
	__u8 role; /* 0 primary, 1 secondary */
	__u8 intent; /* enum cb_intent */
	__u8 sub_state;
	__be32 flags; /* enum cb_fact */
	__be32 wanted_grant_us; /* with CB_FACT_RESTARTING: how long a grant is asked for */
	__u8 unanswered[CB_LINKS]; /* heard summary: consecutive probes of mine that you did not answer, per link */
	__be16 progress_permille; /* of a synchronization */
	__be64 wall_offset_ns; /* sender's CLOCK_REALTIME - CLOCK_BOOTTIME, for the clock check */
	__be64 session; /* random per monitor start */
	__be64 tag; /* SipHash-2-4 over the 120 bytes before, key per direction and link */
};
CB_STATIC_ASSERT(sizeof(struct cb_heartbeat) == 128, "wire layout");
#define CB_TAGGED_BYTES 120

/* ---- 2. maps: host-endian, CB_MAPS_VERSION --------------------------------------------------------
 * One writer per struct (named in its comment), so no locks. Structs of the monitor are read by the programs
 * and the other way round. All maps but the keys may be dumped with bpftool by the curious.
 */

#define CB_MAPS_VERSION 2
#define CB_PAIRINGS_MAX 16
#define CB_PATHS_MAX (CB_PAIRINGS_MAX * CB_LINKS) /* path = slot * CB_LINKS + link */
#define CB_PROBE_RING 64 /* outstanding probes per path; power of two */
#define CB_GRANT_US_MAX 10000000u /* no grant is longer than 10 s */
#define CB_ADDRESSES_MAX 64
#define CB_RTT_BUCKETS 32 /* bucket i counts round trips in [2^i, 2^(i+1)) ns */
#define CB_CHANGES_BYTES (64 * 1024)

/* pin names, under <root>/sys/fs/bpf/crossbeat/ */
#define CB_PIN_DIR "sys/fs/bpf/crossbeat"

/* map cb_node[1]. Writer: the monitor; exit_ns: the exit tracepoint. */
struct cb_node {
	__u32 maps_version; /* CB_MAPS_VERSION */
	__u32 monitor_tgid; /* whose exit leaves the exit mark */
	__u64 boot; /* this node's boot id */
	__u64 session; /* random per monitor start */
	__u64 beat_ns; /* when the control loop last completed a turn */
	__u64 fresh_until_ns; /* beat_ns + monitor_grace: the guard closes a leased address after it */
	__u64 exit_ns; /* 0, or when the monitor process died */
	__u64 wall_offset_ns;
	__u16 udp_port; /* host order */
	__u16 pad16;
	__u32 pad32;
};

enum cb_guard_mode {
	CB_GUARD_CLOSED = 0,
	CB_GUARD_LEASED = 1, /* open while the lease is valid and the own monitor is fresh */
	CB_GUARD_SOLO = 2, /* open whatever happens: nobody else may serve */
};

/* What this node says of itself in one pairing. */
struct cb_facts {
	__u64 term;
	__u64 command_term;
	__u64 position;
	__u32 flags; /* enum cb_fact */
	__u8 state;
	__u8 role;
	__u8 intent;
	__u8 sub_state;
	__u32 wanted_grant_us;
	__u16 progress_permille;
	__u8 unanswered[CB_LINKS];
};

/* map cb_pairs[CB_PAIRINGS_MAX], indexed by slot. Writer: the monitor. */
struct cb_pair {
	__u64 pairing; /* 0: slot is free */
	__u32 grant_us; /* what every frame of ours grants now; 0: nothing. One word: the switch of the lease */
	__u32 guard_mode; /* enum cb_guard_mode */
	/*
	 * facts[turn & 1] is what holds; the next is written beside it, then turn grows by one. So a
	 * writer that is interrupted, or killed, never makes a reader wait: the probe thread runs at a
	 * higher priority than the monitor's loop and would wait for ever for what it keeps from
	 * running.
	 */
	__u64 turn;
	struct cb_facts facts[2];
};

/* map cb_leases[CB_PAIRINGS_MAX]. Writer: the programs and, through the same inline code, the probe thread. */
struct cb_lease {
	__u64 lease_until_ns; /* our right to serve, from the peer's grants; only ever grows */
	__u64 granted_until_ns; /* the end of the last grant that we gave; only ever grows */
	__u64 granting; /* frames being granted at this instant: stop_granting waits until it is 0 */
	__u64 extended_by_answers;
	__u64 extended_by_probes;
	__u64 pad[3];
};

/* What the peer last said on one path. Guarded by `generation` (odd while being written). */
struct cb_peer_facts {
	__u64 generation;
	__u64 received_ns; /* our clock */
	__u64 stamp_ns; /* the peer's clock */
	__u64 session;
	__u64 term;
	__u64 command_term;
	__u64 position;
	__u64 wall_offset_ns;
	__u32 flags;
	__u8 state;
	__u8 role;
	__u8 intent;
	__u8 sub_state;
	__u32 monitor_age_us;
	__u32 grant_us;
	__u32 wanted_grant_us;
	__u16 progress_permille;
	__u8 unanswered[CB_LINKS];
};

/* map cb_paths[CB_PATHS_MAX]. Writer: the programs. */
struct cb_path {
	__u64 peer_boot; /* proved by an answer that matched a probe of ours; 0 unknown */
	__u64 answered_sequence; /* newest probe of ours that was answered */
	__u64 answered_ns; /* when that answer arrived */
	__u64 frame_ns; /* when the newest fresh frame (answer or probe) of the peer arrived */
	__u64 probe_sequence; /* newest probe of the peer, within peer_boot */
	__u64 heard_ns; /* newest stamp_ns of the peer, within peer_boot: what our probes echo */
	__u64 probes_received;
	__u64 answers_sent;
	__u64 answers_received;
	__u64 rtt_last_ns;
	__u64 rtt_min_ns;
	__u64 rtt_sum_ns; /* over answers_received */
	__u64 rtt_histogram[CB_RTT_BUCKETS];
	__u8 peer_mac[6]; /* source of the newest fresh frame on the direct link */
	__u8 pad[2];
	struct cb_peer_facts peer;
};

/* map cb_probes[CB_PATHS_MAX]. Writer: the probe thread; stored before the probe leaves. */
struct cb_probes {
	__u64 sequence; /* newest probe made */
	__u64 sent_ns[CB_PROBE_RING]; /* stamp_ns of probe s at [s % CB_PROBE_RING]; 0: never sent or send failed */
};

/* map cb_keys[CB_PAIRINGS_MAX]. Secret: not mmapable, never logged. 128-bit SipHash keys per link. */
struct cb_keys {
	__u64 transmit[CB_LINKS][2];
	__u64 receive[CB_LINKS][2];
};

/* map cb_addresses: virtual address -> slot. IPv4 as ::ffff:a.b.c.d, network order. */
struct cb_address {
	__u8 bytes[16];
};

/* map cb_drops (per CPU array): frames dropped, by reason. Keep in step with CB_DROP_NAMES. */
enum cb_drop {
	CB_DROP_SHORT, /* truncated frame */
	CB_DROP_MAGIC,
	CB_DROP_VERSION,
	CB_DROP_KIND,
	CB_DROP_LINK, /* says another link than the one it came by */
	CB_DROP_PAIRING, /* unknown pairing */
	CB_DROP_TAG, /* forged, or another key */
	CB_DROP_REPLAYED_PROBE,
	CB_DROP_UNMATCHED_ANSWER, /* answers no outstanding probe of ours */
	CB_DROP_STALE_ANSWER, /* a newer probe was answered already, or this one was */
	CB_DROP_OTHER_BOOT, /* answer to a probe of an earlier boot, or own frame come back */
	CB_DROP_FUTURE, /* echoes a time of ours that has not come */
	CB_DROP_BUSY, /* our facts changed while they were read; the next probe is answered */
	CB_DROPS,
};
#define CB_DROP_NAMES                                                                              \
	{                                                                                          \
		"short", "magic", "version", "kind", "link", "pairing", "tag", "replayed-probe",   \
			"unmatched-answer", "stale-answer", "other-boot", "future", "busy"         \
	}

/* map cb_guarded[CB_PAIRINGS_MAX] (per CPU array): what the guard did. */
struct cb_guarded {
	__u64 passed;
	__u64 dropped_closed; /* mode closed */
	__u64 dropped_lease; /* mode leased, lease over */
	__u64 dropped_monitor; /* mode leased, own monitor not fresh */
	__u64 last_passed_ns;
	__u64 last_dropped_ns;
};

/* ---- 3. ring cb_changes: kernel -> monitor, only when something changed ------------------------------ */

enum cb_change_kind {
	CB_CHANGE_FACTS = 1, /* the peer's flags, state, intent, term or session changed */
	CB_CHANGE_PEER_BOOT = 2, /* another boot id of the peer was proved */
	CB_CHANGE_FIRST_ANSWER = 3, /* an answer after CB_PROBE_RING or more unanswered probes, or the first ever */
	CB_CHANGE_BAD_TAGS = 4, /* authentication failures started (at most one record a second) */
};

struct cb_change {
	__u32 kind; /* enum cb_change_kind */
	__u16 slot;
	__u16 link;
	__u64 at_ns;
	__u64 value; /* boot id, or count of drops */
};

#endif
