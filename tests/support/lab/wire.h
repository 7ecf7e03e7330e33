/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * wire.h - the wires of the lab: what the program on every port (wire.bpf.c) and the tools
 * (cb_wire, cb_power_off) agree on. A port is the far end of a node's network card: in the cable's
 * namespace for the direct link, at the switch for the service link. Ports are found by their
 * interface index, which scripts/lab chooses itself, so that an index is unique over all namespaces
 * of a lab.
 */
#ifndef CROSSBEAT_TESTS_WIRE_H
#define CROSSBEAT_TESTS_WIRE_H

#include <linux/types.h>

#define WIRE_PORTS 256    /* interface indexes below this */
#define WIRE_NODES 32     /* node numbers 1..31; 0: a port that never loses its power */
#define WIRE_CUT 1000000u /* lost, per million: everything */

enum wire_direction {
  WIRE_IN = 0,  /* out of the node, into the wire */
  WIRE_OUT = 1, /* out of the wire, into the node */
  WIRE_DIRECTIONS = 2,
};

/* map wire_ports[WIRE_PORTS], indexed by interface. Writer: the tools; counters: the program. */
struct wire_port {
  __u32 node;
  __u32 forward_to; /* the cable's other end; 0: a port of the switch, whose bridge forwards */
  __u32 lost_ppm[WIRE_DIRECTIONS]; /* frames lost at random, per million */
  __u64 passed[WIRE_DIRECTIONS];
  __u64 dropped[WIRE_DIRECTIONS];
};

/*
 * map wire_dead[WIRE_NODES]. A single store that silences all ports of a node at one instant,
 * whatever its kernel may still want to say: the power-off.
 */
struct wire_dead {
  __u32 dead;
};

#endif
