# SPDX-License-Identifier: Apache-2.0
"""The event log of a pair: whole sequences, both nodes' in one, hooks, maintenance that ends."""

import json

from story import lab_of, story, wait_for

# Links come and go each at its own moment, and what lease a node serves under follows them: what is left is
# the story, whose order is fixed.
IN_THEIR_OWN_TIME = {
    "a link to the peer answers",
    "a link to the peer is silent",
    "serving under the peer's lease again",
    "serving without the peer's lease",
    "arbitration answered",
    "this monitor did not run for a while",
}

PAIRED = [
    ("Primary", "Configuration successfully created", ""),
    ("Primary", "state changed", "TERMINATED to PRIMARY_ACTIVE"),
    ("Primary", "heartbeats are up", ""),
]
STANDS_BY = [
    ("Secondary", "Configuration successfully created", ""),
    ("Secondary", "heartbeats are up", ""),
    ("Secondary", "state changed", "TERMINATED to SECONDARY_ACTIVE"),
]
FAILOVER = [
    ("Secondary", "heartbeats are down on all links", ""),
    ("Secondary", "failover begins: command leaves the primary instance", "the peer answers on no link"),
    ("Secondary", "state changed", "SECONDARY_ACTIVE to FAILOVER_INVOKED"),
    ("Secondary", "starting the instance's services here", ""),
    ("Secondary", "state changed", "FAILOVER_INVOKED to FAILOVER_ACTIVE"),
    ("Secondary", "failover complete: this instance is served here", "the peer answers on no link"),
]
BACK = [
    ("Primary", "heartbeats are up", ""),
]
FAILBACK_SECONDARY = [
    ("Secondary", "heartbeats are up", ""),
    ("Secondary", "failback begins: data returns to the primary", "an operator asked for a failback"),
    ("Secondary", "state changed", "FAILOVER_ACTIVE to FAILBACK_ACTIVE"),
    ("Secondary", "state changed", "FAILBACK_ACTIVE to SECONDARY_ALONE"),
    ("Secondary", "state changed", "SECONDARY_ALONE to SECONDARY_ACTIVE"),
]
FAILBACK_PRIMARY = [
    ("Primary", "state changed", "TERMINATED to FAILBACK_ACTIVE"),
    ("Primary", "starting the instance's services here", ""),
    ("Primary", "state changed", "FAILBACK_ACTIVE to FAILBACK_COMPLETE"),
    ("Primary", "failback complete: the primary is in command again", "the peer handed command over"),
    ("Primary", "state changed", "FAILBACK_COMPLETE to PRIMARY_ACTIVE"),
    ("Primary", "active: this node is in command", ""),
]

SERVICE = '\n[[service]]\nname = "thing"\nstart = ["/bin/true"]\nstop = ["/bin/true"]\n'


def events_of(lab, node, *options):
    done = lab.crossbeat(node, "events", "--json", "--limit", "2000", *options)
    return [json.loads(line) for line in done.stdout.splitlines()]


def steps(events, by=None):
    """(who, what, why) of the story; why without its second half, which tells a reason."""
    told = []
    for event in events:
        if event["description"] in IN_THEIR_OWN_TIME or event["description"].startswith("hook "):
            continue
        if by in (None, event["generated_by"]):
            why = event["remarks"].split(":")[0] if event["description"] == "state changed" else event["remarks"]
            told.append((event["generated_by"], event["description"], why))
    return told


def ids(events):
    """What names an event on either node: who wrote it, and its number there."""
    return [(event["generated_by"], event["id"].rsplit("/", 1)[-1]) for event in events]


@story("pairing, failover and failback, as whole sequences, in one log on both nodes")
def sequences(tell):
    with lab_of(tell, "events", "--profile", "fast", "--no-start", pair=None) as lab:
        out = {node: lab.home / f"hook-{node}" for node in "ab"}
        for node in "ab":
            path = lab.root(node) / "etc/crossbeat/crossbeat.toml"
            hook = f'\n[[hook]]\nname = "tell"\ncommand = ["/bin/sh", "-c", "cat >> {out[node]}"]\n'
            path.write_text(path.read_text() + SERVICE + hook)
        lab.verb("start")
        lab.verb("pair")
        lab.wait_protected()
        lab.wait_able()
        lab.power_off("a")
        lab.wait_state("b", "FAILOVER_ACTIVE", 20)

        def paired_events():
            return [event for event in events_of(lab, "b") if event["pairing"] == "10.77.0.11"]

        wait_for("the end of the failover in the log", lambda: steps(paired_events(), "Secondary")[-1] == FAILOVER[-1])
        seen = steps(paired_events(), "Primary")
        tell.check("the dead primary's part of pairing is in the survivor's log", seen == PAIRED, seen)
        seen = steps(paired_events(), "Secondary")
        tell.check("the secondary's: paired, standing by, taking over", seen == STANDS_BY + FAILOVER, seen)

        lab.power_on("a")
        lab.wait_state("a", "TERMINATED", 40, "peer-in-command")
        done = lab.crossbeat("b", "failback", "--force")
        tell.check("a failback succeeds", done.returncode == 0, done.stdout + done.stderr)
        lab.wait_protected()

        def both_have_all():
            logs = [[e for e in events_of(lab, node) if e["pairing"] == "10.77.0.11"] for node in "ab"]
            return logs if set(ids(logs[0])) == set(ids(logs[1])) and steps(logs[0])[-1] else None

        logs = wait_for("both nodes have the same events", both_have_all, 20, every=0.2)
        for node, log in zip("ab", logs, strict=True):
            tell.check(f"{node} has each event once", len(ids(log)) == len(set(ids(log))), ids(log))
            tell.check(f"{node} has them by time", [e["wall"] for e in log] == sorted(e["wall"] for e in log))
        seen = steps(logs[0], "Secondary")
        wanted = STANDS_BY + FAILOVER + FAILBACK_SECONDARY
        tell.check("the secondary's whole sequence, as the primary tells it", seen == wanted, seen)
        seen = steps(logs[1], "Primary")
        wanted = PAIRED + BACK + FAILBACK_PRIMARY
        tell.check("the primary's whole sequence, as the secondary tells it", seen == wanted, seen)

        changes = [json.loads(line) for line in out["b"].read_text().splitlines()]
        tell.check(
            "the secondary's hook was told of each change of state, in order",
            [c["state"] for c in changes]
            == ["SECONDARY_ACTIVE", "FAILOVER_INVOKED", "FAILOVER_ACTIVE", "FAILBACK_ACTIVE", "SECONDARY_ALONE", "SECONDARY_ACTIVE"],
            changes,
        )
        run = [e for e in events_of(lab, "b") if e["description"] == "hook tell was run" and e["generated_by"] == "Secondary"]
        tell.check("and each run of it is in the event log", len(run) == len(changes), run)

        moment = next(e["wall"] for e in logs[1] if e["description"].startswith("failover begins"))
        later = events_of(lab, "b", "--since", moment)
        earlier = events_of(lab, "b", "--until", moment)
        whole = events_of(lab, "b")
        tell.check("--since and --until cut the log in two", len(later) + len(earlier) == len(whole) and later and earlier)

        lab.verb("stop", "b")
        saved = lab.crossbeat("b", "events", "--json", "--limit", "2000", "--until", moment)
        tell.check("without a monitor the same log is shown", saved.returncode == 3 and ids(
            [json.loads(line) for line in saved.stdout.splitlines()]) == ids(earlier), saved.stdout[-1000:] + saved.stderr)


@story("maintenance stands over a restart and a crash, and ends by itself")
def maintenance(tell):
    with lab_of(tell, "maintenance", "--profile", "fast", "--failback", "manual", pair="file") as lab:
        lab.wait_protected()
        done = lab.crossbeat("b", "maintenance", "on", "--for", "15s")
        tell.check("it is switched on for a while", done.returncode == 0, done.stdout + done.stderr)
        until = lab.pairing("b")["maintenance_until_wall"]
        tell.check("the status tells until when", until and until in lab.crossbeat("b", "status").stdout, until)
        done = lab.crossbeat("b", "restart")
        tell.check("the monitor restarts", done.returncode == 0, done.stdout + done.stderr)
        lab.verb("start", "b")
        lab.verb("kill", "b")
        lab.verb("start", "b")
        now = wait_for("the monitor is back", lambda: lab.pairing("b"), 20)
        tell.check("it stands, until the same moment", now["maintenance"] and now["maintenance_until_wall"] == until, now)
        wait_for("it ends by itself", lambda: not lab.pairing("b")["maintenance"], 40, every=0.2)
        told = [e["description"] for e in events_of(lab, "b") if "maintenance" in e["description"]]
        tell.check("the event log tells both", told == ["maintenance is on", "maintenance is off"], told)
