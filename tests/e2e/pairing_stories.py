# SPDX-License-Identifier: Apache-2.0
"""Pairing and unpairing, as an operator does it."""

import json

from story import MAC, lab_of, outage_of, protected_pair, story, verdict


def said(done):
    return f"exit {done.returncode}: {done.stdout}{done.stderr}"


def at_most_a_moment(tell, seen):
    longest = outage_of(seen)
    tell.check(
        "the client never waited longer than 100 ms in all this",
        MAC["a"] in seen["answered_by"] and (not longest or (longest["ms"] and longest["ms"] < 100)),
        seen,
    )


def new_code(lab):
    done = lab.crossbeat("b", "pairing-code", "--json", check=True)
    return json.loads(done.stdout)["code"]


@story("an unpaired primary serves alone; paired by a code it is protected; unpaired it serves alone again")
def pair_and_unpair(tell):
    with lab_of(tell, "unpaired", "--profile", "fast", pair=None) as lab:
        client = lab.client("--max-ms", 60_000).wait_ready()
        judge = lab.judge()
        tell.check("unpaired, the primary serves its address", "10.77.0.10" in lab.addresses("a"))
        done = lab.crossbeat("a", "pair", "10.77.0.12", "--code", new_code(lab))
        tell.check("crossbeat pair succeeds", done.returncode == 0, said(done))
        lab.wait_protected()
        key = lab.root("a") / "var/lib/crossbeat/pairs/10.77.0.11.key"
        other = lab.root("b") / "var/lib/crossbeat/pairs/10.77.0.11.key"
        tell.check("both hold the same key", key.read_text() == other.read_text())
        tell.check("nobody else can read it", key.stat().st_mode & 0o077 == 0 and other.stat().st_mode & 0o077 == 0)
        done = lab.crossbeat("a", "unpair")
        tell.check("crossbeat unpair succeeds", done.returncode == 0, said(done))
        alone = not (lab.status("a") or {}).get("pairings") and not (lab.status("b") or {}).get("pairings")
        tell.check("neither knows a pairing any more", alone, (lab.status("a"), lab.status("b")))
        tell.check("no key is left", not key.exists() and not other.exists())
        at_most_a_moment(tell, client.stop())
        verdict(tell, lab, judge.stop(), moves=0)


@story("a wrong code pairs nobody, and says so")
def wrong_code(tell):
    with lab_of(tell, "unpaired", "--profile", "fast", pair=None) as lab:
        code = new_code(lab)
        wrong = "".join(c if not c.isdigit() else str((int(c) + 1) % 10) for c in code)
        wrong = wrong if wrong != code else code[::-1]
        done = lab.crossbeat("a", "pair", "10.77.0.12", "--code", wrong)
        tell.check("crossbeat pair fails", done.returncode != 0, said(done))
        tell.check("and says that the code was wrong", "code" in (done.stdout + done.stderr).lower(), said(done))
        for node in ("a", "b"):
            pairs = list((lab.root(node) / "var/lib/crossbeat").glob("pairs/*"))
            tell.check(f"nothing half done is left on {node}", not pairs and not lab.status(node)["pairings"], pairs)
        tell.check("the primary serves on", "10.77.0.10" in lab.addresses("a"))


@story("pairing with a machine that does not answer fails in time, with the next step")
def unreachable(tell):
    with lab_of(tell, "unpaired", "--profile", "fast", pair=None) as lab:
        code = new_code(lab)
        lab.power_off("b", "silent")
        done = lab.crossbeat("a", "pair", "10.77.0.12", "--code", code, timeout=60)
        tell.check("crossbeat pair fails", done.returncode != 0, said(done))
        tell.check("and names the machine", "10.77.0.12" in done.stdout + done.stderr, said(done))
        tell.check("nothing half done is left", not list((lab.root("a") / "var/lib/crossbeat").glob("pairs/*")))
        done = lab.crossbeat("a", "pair", "10.77.0.99", "--code", code, timeout=60)
        named = done.returncode != 0 and "10.77.0.99" in done.stderr + done.stdout
        tell.check("nor with an address that nobody has", named, said(done))


@story("a primary whose secondary is gone for good can be unpaired")
def unpair_alone(tell):
    with protected_pair(tell, moves=0) as lab:
        lab.power_off("b")
        lab.wait_state("a", "PRIMARY_ACTIVE", 20, "alone")
        client = lab.client("--max-ms", 20_000).wait_ready()
        done = lab.crossbeat("a", "unpair")
        tell.check("crossbeat unpair removes the pairing here", done.returncode == 0, said(done))
        tell.check("and says what is left to do there", "10.77.0.12" in done.stdout + done.stderr, said(done))
        alone = not lab.status("a")["pairings"] and "10.77.0.10" in lab.addresses("a")
        tell.check("the primary serves, unpaired", alone)
        at_most_a_moment(tell, client.stop())


@story("a pairing that only one of the two remembers is replaced by a new one; pairing again renews it")
def pair_again(tell):
    with protected_pair(tell, moves=0) as lab:
        key = lab.root("b") / "var/lib/crossbeat/pairs/10.77.0.11.key"
        first = key.read_text()
        lab.verb("stop", "b")
        lab.wait_state("a", "PRIMARY_ACTIVE", 20, "alone")
        client = lab.client("--max-ms", 60_000).wait_ready()
        done = lab.crossbeat("a", "unpair")
        tell.check("crossbeat unpair on the primary succeeds", done.returncode == 0, said(done))
        lab.verb("start", "b")
        tell.check("the secondary still has the pairing", bool(lab.pairing("b")))
        done = lab.crossbeat("a", "pair", "10.77.0.12", "--code", new_code(lab))
        tell.check("crossbeat pair succeeds nevertheless", done.returncode == 0, said(done))
        lab.wait_protected()
        second = key.read_text()
        tell.check("the secondary has a new key, and one pairing", second != first and len(lab.status("b")["pairings"]) == 1)

        done = lab.crossbeat("a", "pair", "10.77.0.12", "--code", new_code(lab))
        tell.check("pairing once more succeeds", done.returncode == 0, said(done))
        lab.wait_protected()
        tell.check("the key stays", key.read_text() == second)
        at_most_a_moment(tell, client.stop())
