# SPDX-License-Identifier: Apache-2.0
"""An enemy in the cable and at the switch: a million hostile frames, none of which is taken for true."""

import os

from story import protected_pair, story

FRAMES = int(os.environ.get("CB_STORM_FRAMES", "1000000"))
# One storm on each port, one after the other: the cable's two ends and the switch's two ports.
PLACES = [("cable", "a", "direct"), ("cable", "b", "direct"), ("switch", "a", "network"), ("switch", "b", "network")]


def counted(lab, node):
    return sum(lab.drops(node).values())


def taken_in(lab, node, link):
    """Probes of the peer that a node believed, and answers that it believed, on one link."""
    (found,) = [l for l in lab.pairing(node)["links"] if l["link"] == link]
    return found


@story("a million forged, replayed, truncated and random frames change nothing")
def storm(tell):
    with protected_pair(tell, moves=0) as lab:
        before = {node: lab.pairing(node) for node in ("a", "b")}
        dropped = {node: counted(lab, node) for node in ("a", "b")}
        client = lab.client("--max-ms", 300_000, "--interval-us", 1000).wait_ready()
        sent = {"a": 0, "b": 0}
        told_apart = {"a": 0, "b": 0}  # neither another node's frames nor repeated ones, which may be answered: no harm is in that
        for place, node, link in PLACES:
            options = ("--link", link, "--count", FRAMES // len(PLACES), "--rate", 100_000)
            if place == "switch":
                options += ("--record", "br0")
            report = lab.start_tool(place, "cb_storm", node, *options).finish(timeout=300)
            sent[node] += report["sent"]
            told_apart[node] += report["sent"] - report["by_kind"]["replayed"] - report["by_kind"]["mirrored"]
            tell.check(
                f"{report['sent']} hostile frames reached {node} on the {link} link, made from "
                f"{'hundreds' if report['real_frames_seen'] > 100 else report['real_frames_seen']} of real ones",
                report["sent"] >= 0.99 * FRAMES // len(PLACES) and report["real_frames_seen"] >= 8,
                report,
            )
        seen = client.stop()
        after = {node: lab.pairing(node) for node in ("a", "b")}
        for node, peer in (("a", "b"), ("b", "a")):
            same = ("state", "sub_state", "term", "serving", "id", "peer_state")
            tell.check(
                f"{node} is what it was",
                all(before[node][key] == after[node][key] for key in same),
                {key: (before[node][key], after[node][key]) for key in same},
            )
            for link in ("direct", "network"):
                own, others = taken_in(lab, node, link), taken_in(lab, peer, link)
                tell.check(
                    f"{node} believed no probe on the {link} link that its peer had not sent",
                    own["probes_received"] <= others["sequence"] and own["answered"] <= own["sequence"],
                    (own, others),
                )
            drops = counted(lab, node) - dropped[node]
            tell.check(
                f"{node} dropped them, and counted why",
                drops >= 0.9 * told_apart[node] and len([n for n in lab.drops(node).values() if n]) >= 5,
                (drops, told_apart[node], lab.drops(node)),
            )
        tell.check("there were nearly a million", sum(sent.values()) >= 0.99 * FRAMES, sent)
        tell.check("the client was served all the while", seen["answered"] > 0.99 * seen["sent"], seen)
