# SPDX-License-Identifier: Apache-2.0
"""With a witness: no fault, and no two of them, make two nodes serve."""

import json

from story import nothing_lost, protected_pair, story, wait_for

WITNESS = ("--witness", "--set", 'witness.deadline="2s"')


def held_by(lab):
    return lab.witness_pairing()["holder"]


def answers(lab, node, wanted):
    witness = (lab.pairing(node) or {}).get("witness") or {}
    return witness.get("answers") is wanted and (not wanted or witness.get("trouble") is None)


def both_hear_the_witness(lab):
    for node in ("a", "b"):
        wait_for(f"the witness answers {node}", lambda n=node: answers(lab, n, True))


@story("cut off from each other, each seeing the witness and the clients: exactly one serves")
def cut_apart(tell):
    with protected_pair(tell, *WITNESS) as lab:
        both_hear_the_witness(lab)
        tell.check("while they see each other nobody holds anything at the witness", held_by(lab) == "nobody")
        lab.verb("part")
        lab.verb("cut", "direct")
        holder = wait_for("somebody holds the address", lambda: (h := held_by(lab)) != "nobody" and h)
        winner, loser = ("a", "b") if holder == "primary" else ("b", "a")
        now = wait_for(
            "the holder serves without the other's lease", lambda: (p := lab.pairing(winner))["serving"] and p["solo"] and p
        )
        tell.check("the one that was granted serves", now["guard"] == "open", now)
        other = lab.pairing(loser)
        tell.check("the other does not", other["guard"] != "open", other)
        refused = lab.crossbeat(loser, "--timeout", "10s", "failover")
        tell.check(
            "not even when an operator asks for a failover without force",
            refused.returncode != 0 and lab.pairing(loser)["guard"] != "open",
            refused.stdout + refused.stderr,
        )
        lab.verb("heal")
        wait_for(
            "they are a pair again",
            lambda: lab.pairing(winner)["sub_state"].lower() == "protected" and not lab.pairing(loser)["serving"],
            40,
        )
        wait_for("the witness was given back what nobody needs", lambda: held_by(lab) == "nobody")


def alarms(lab, node):
    """Its own: both nodes' events stand in each log."""
    own = {"a": "Primary", "b": "Secondary"}[node]
    events = map(json.loads, lab.crossbeat(node, "events", "--json").stdout.splitlines())
    return [e for e in events if e["description"] == "The witness does not answer" and e["generated_by"] == own]


@story("the witness dies while the nodes see each other: an alarm, and nothing else")
def witness_down(tell):
    with protected_pair(tell, *WITNESS, moves=0) as lab:
        both_hear_the_witness(lab)
        client = lab.client("--max-ms", 60_000).wait_ready()
        lab.verb("witness", "kill")
        for node in ("a", "b"):
            wait_for(f"{node} notices", lambda n=node: answers(lab, n, False))

            wait_for(f"the alarm in the events of {node}", lambda n=node: alarms(lab, n))
            tell.check(f"{node} raises an alarm", len(alarms(lab, node)) == 1, alarms(lab, node))
        tell.check("the primary serves as before", lab.pairing("a")["guard"] == "open" and not lab.pairing("a")["solo"])
        tell.check("the secondary stands ready", lab.pairing("b")["state"] == "SECONDARY_ACTIVE", lab.pairing("b"))
        said = lab.crossbeat("b", "doctor").stdout
        tell.check("doctor says what that means", "would neither take over nor go on alone" in said, said)
        nothing_lost(tell, lab, client.stop())
        lab.verb("witness", "start")
        for node in ("a", "b"):
            wait_for(f"the witness answers {node} again", lambda n=node: answers(lab, n, True))


@story("the power of the primary fails: the witness grants, and remembers when both come back")
def power_off(tell):
    with protected_pair(tell, *WITNESS, moves=1) as lab:
        both_hear_the_witness(lab)
        lab.power_off("a")
        now = lab.wait_state("b", "FAILOVER_ACTIVE")
        tell.check("the secondary serves by arbitration", now["solo"] and now["solo_basis"] == "arbitration", now)
        tell.check("the witness knows it", held_by(lab) == "secondary")
        lab.verb("witness", "kill")
        lab.verb("witness", "start")
        tell.check("also after it died itself", held_by(lab) == "secondary")
        lab.power_on("a")
        lab.wait_state("a", "TERMINATED", 40, "peer-in-command")
        wait_for("it was given back: the pair is whole", lambda: held_by(lab) == "nobody", 20)


@story("the witness is away when the power of the primary fails: nobody serves until it answers")
def power_off_without_witness(tell):
    with protected_pair(tell, *WITNESS, "--set", 'failover.wait="60s"', moves=1) as lab:
        both_hear_the_witness(lab)
        lab.verb("witness", "kill")
        wait_for("b notices", lambda: answers(lab, "b", False))
        lab.power_off("a")
        now = wait_for(
            "b says why it waits", lambda: (p := lab.pairing("b"))["reason"].lower().replace("_", "-") == "no-arbitration" and p
        )
        tell.check("it is silent, and waits", now["state"] == "SECONDARY_ACTIVE" and not now["serving"], now)
        tell.check("and has no address", "10.77.0.10" not in lab.addresses("b"))
        lab.verb("witness", "start")
        lab.wait_state("b", "FAILOVER_ACTIVE", 20)
        tell.check("with the witness back it serves", held_by(lab) == "secondary")
