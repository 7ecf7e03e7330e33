/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * siphash.h - SipHash-2-4 with a 128-bit key over a whole number of 8-byte words (Aumasson,
 * Bernstein: "SipHash: a fast short-input PRF", 2012; constants and rounds from there). Compiled
 * for eBPF and natively. The message is read as little-endian words, as in the paper, so the tag is
 * the same on every machine.
 */
#ifndef CROSSBEAT_SIPHASH_H
#define CROSSBEAT_SIPHASH_H

#include <linux/types.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define CB_LE64(x) (x)
#else
#define CB_LE64(x) __builtin_bswap64(x)
#endif

#define CB_ROTL64(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

#define CB_SIPROUND(v0, v1, v2, v3)                                                                \
	do {                                                                                       \
		v0 += v1;                                                                          \
		v1 = CB_ROTL64(v1, 13);                                                            \
		v1 ^= v0;                                                                          \
		v0 = CB_ROTL64(v0, 32);                                                            \
		v2 += v3;                                                                          \
		v3 = CB_ROTL64(v3, 16);                                                            \
		v3 ^= v2;                                                                          \
		v0 += v3;                                                                          \
		v3 = CB_ROTL64(v3, 21);                                                            \
		v3 ^= v0;                                                                          \
		v2 += v1;                                                                          \
		v1 = CB_ROTL64(v1, 17);                                                            \
		v1 ^= v2;                                                                          \
		v2 = CB_ROTL64(v2, 32);                                                            \
	} while (0)

#ifdef __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#endif

/* Frames are written as structs and hashed as words. */
typedef __u64 __attribute__((may_alias)) cb_word;

/*
 * `words` must be a compile-time constant. Not unrolled: heartbeats come at intervals in which a
 * CPU forgets, and cold code costs by its size (a quarter of the whole answer's time, measured),
 * while warm code runs as fast either way.
 */
static inline __attribute__((always_inline)) __u64 cb_siphash(const __u64 key[2],
							      const __u64 *message, const int words)
{
	__u64 v0 = 0x736f6d6570736575ULL ^ key[0];
	__u64 v1 = 0x646f72616e646f6dULL ^ key[1];
	__u64 v2 = 0x6c7967656e657261ULL ^ key[0];
	__u64 v3 = 0x7465646279746573ULL ^ key[1];
	const __u64 last = ((__u64)words * 8) << 56;

#ifdef __clang__
#pragma clang loop unroll(disable)
#endif
	for (int i = 0; i < words; i++) {
		const __u64 m = CB_LE64(((const cb_word *)message)[i]);

		v3 ^= m;
		CB_SIPROUND(v0, v1, v2, v3);
		CB_SIPROUND(v0, v1, v2, v3);
		v0 ^= m;
	}
	v3 ^= last;
	CB_SIPROUND(v0, v1, v2, v3);
	CB_SIPROUND(v0, v1, v2, v3);
	v0 ^= last;
	v2 ^= 0xff;
	CB_SIPROUND(v0, v1, v2, v3);
	CB_SIPROUND(v0, v1, v2, v3);
	CB_SIPROUND(v0, v1, v2, v3);
	CB_SIPROUND(v0, v1, v2, v3);
	return v0 ^ v1 ^ v2 ^ v3;
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
#endif

#endif
