# SPDX-License-Identifier: Apache-2.0
"""What may be a pair, the maker's licence, and a primary that lost everything: on two real appliances."""

import json
import shutil

from story import lab_of, story, wait_for

B = "10.77.0.12"


def said(done):
    return f"exit {done.returncode}: {done.stdout}{done.stderr}"


def configure(lab, node, text):
    path = lab.root(node) / "etc/crossbeat/crossbeat.toml"
    path.write_text(path.read_text() + "\n" + text)


def new_code(lab):
    return json.loads(lab.crossbeat("b", "pairing-code", "--json", check=True).stdout)["code"]


def pair(lab, *options):
    return lab.crossbeat("a", "pair", B, "--code", new_code(lab), *options)


def events(lab, node):
    return lab.crossbeat(node, "events", "--limit", "50").stdout


@story("machines that the matrix forbids do not pair, and both nodes say why and what to do")
def matrix(tell):
    with lab_of(tell, "rules", "--profile", "fast", "--no-start", pair=None) as lab:
        configure(lab, "a", '[product]\nmodel = "3365"\n')
        configure(lab, "b", '[product]\nmodel = "3355"\n')
        lab.verb("start")
        done = pair(lab)
        tell.check("crossbeat pair is refused by a rule", done.returncode == 4, said(done))
        tell.check("with the rule and the models", "the platform matrix allows 3365" in done.stderr, said(done))
        tell.check("and the next step", "What to do: use a secondary that the rules allow" in done.stderr, said(done))
        tell.check("every rule that was looked at is shown", "ok  addresses: " in done.stdout and "NO  platform: " in done.stdout, said(done))
        wait_for("b tells of it", lambda: "Pairing refused" in events(lab, "b"))
        tell.check("the secondary's events tell why", "3355" in events(lab, "b"), events(lab, "b"))
        dry = lab.crossbeat("a", "pair", B, "--dry-run")
        tell.check("a dry run says the same, without a code", dry.returncode == 4 and "NO  platform: " in dry.stdout, said(dry))

        for node in "ab":
            rules = lab.root(node) / "etc/crossbeat/platforms.toml"
            rules.write_text('[[pair]]\nprimary = "3365"\nsecondaries = ["3355"]\n')
            lab.verb("stop", node)
            lab.verb("start", node)
        dry = lab.crossbeat("a", "pair", B, "--dry-run")
        tell.check("with the maker's own rules a dry run is content", dry.returncode == 0 and "Nothing was done" in dry.stdout, said(dry))
        done = pair(lab)
        tell.check("and they pair", done.returncode == 0, said(done))
        lab.wait_protected()
        judged = lab.pairing("a")
        tell.check("status tells the peer's model and the rule", judged["peer"]["model"] == "3355" and judged["platform"]["by"] == "matrix", judged)


@story("a virtual address that another machine has is found before anything is paired")
def address_in_use(tell):
    with lab_of(tell, "rules", "--profile", "fast", "--no-start", pair=None) as lab:
        lab.verb("start", "b")
        lab.run("gw", "ip", "address", "add", "10.77.0.10/32", "dev", "eth0")
        lab.verb("start", "a")
        dry = lab.crossbeat("a", "pair", B, "--dry-run")
        tell.check("a dry run is refused", dry.returncode == 4, said(dry))
        tell.check("because another machine answers for it", "another machine has one of the virtual addresses" in dry.stderr, said(dry))
        tell.check("whose hardware address is named", " answers for 10.77.0.10" in dry.stderr, said(dry))
        lab.run("gw", "ip", "address", "del", "10.77.0.10/32", "dev", "eth0")
        dry = lab.crossbeat("a", "pair", B, "--dry-run")
        tell.check("when it is gone, nothing stands against the pairing", dry.returncode == 0, said(dry))


@story("where the maker demands a licence, both nodes need theirs; unpair deletes the secondary's")
def licences(tell):
    with lab_of(tell, "rules", "--profile", "fast", "--no-start", pair=None) as lab:
        key = lab.home / "maker.key"
        public = json.loads(lab.crossbeat("a", "licence", "make-key", key, "--json", check=True).stdout)["public_key"]
        udi = {}
        for node in "ab":
            configure(lab, node, f'[product]\nudi_serial = "{node}"\n[licence]\npublic_key = "{public}"\nrequired = true\n')
            udi[node] = f"CROSSBEAT:V01:{node}"
        lab.verb("start")

        def licence(node, of):
            text = lab.crossbeat(node, "licence", "sign", "--key", key, "--id", "L-1", "--udi", udi[of], check=True).stdout
            path = lab.home / f"{node}.licence"
            path.write_text(text)
            return lab.crossbeat(node, "licence", "add", path)

        done = pair(lab)
        tell.check("without licences they do not pair", done.returncode == 4 and "the primary is not activated" in done.stderr, said(done))
        done = licence("a", "b")
        tell.check("another machine's licence is not taken", done.returncode == 4 and "for another machine" in done.stderr, said(done))
        tell.check("its own is", licence("a", "a").returncode == 0)
        done = pair(lab)
        tell.check("the secondary needs its own", done.returncode == 4 and "the secondary is not activated" in done.stderr, said(done))
        tell.check("which it takes while it runs", licence("b", "b").returncode == 0)
        done = pair(lab)
        tell.check("now they pair", done.returncode == 0, said(done))
        lab.wait_protected()
        tell.check("the secondary's activation is shown", lab.pairing("a")["peer"]["activation"] == "activated", lab.pairing("a"))
        done = lab.crossbeat("a", "unpair", "--delete-licence")
        tell.check("unpair with its licence succeeds", done.returncode == 0, said(done))
        wait_for("the licence is gone", lambda: not (lab.root("b") / "var/lib/crossbeat/licence").exists())
        shown = lab.crossbeat("b", "licence", "show")
        tell.check("the secondary is not activated any more", shown.returncode == 4 and "Activation: no licence" in shown.stdout, said(shown))
        shown = lab.crossbeat("a", "licence", "show")
        tell.check("the primary still is", shown.returncode == 0 and "Activation: activated" in shown.stdout, said(shown))


@story("a primary that lost its configuration gets it back from the secondary, and its term never goes back")
def recovery(tell):
    with lab_of(tell, "rules", "--profile", "fast", "--failover", "manual") as lab:
        lab.wait_protected()
        root = lab.root("a")
        kept = lab.root("b") / "var/lib/crossbeat/pairs/10.77.0.11.node"
        wait_for("the secondary keeps the configuration", kept.exists, 20)
        toml = (root / "etc/crossbeat/crossbeat.toml").read_text()
        tell.check("just as it is, for root alone", kept.read_text() == toml and kept.stat().st_mode & 0o077 == 0, kept.read_text())
        identity = lab.pairing("a")["id"]
        done = lab.crossbeat("a", "switchover")
        tell.check("the secondary takes over", done.returncode == 0, said(done))
        lab.wait_state("b", "FAILOVER_ACTIVE")
        done = lab.crossbeat("a", "recover", "--from", B, "--code", new_code(lab))
        tell.check("recovery is refused while the monitor runs", done.returncode == 4 and "systemctl stop" in done.stderr, said(done))
        lab.verb("stop", "a")
        term = lab.pairing("b")["newest_term"]
        shutil.rmtree(root / "var/lib/crossbeat")
        (root / "etc/crossbeat/crossbeat.toml").unlink()

        code = new_code(lab)
        wrong = code[::-1] if code[0] == code[-1] else code[-1] + code[1:-1] + code[0]
        done = lab.crossbeat("a", "recover", "--from", B, "--code", wrong)
        tell.check("a wrong code gives nothing", done.returncode != 0 and not (root / "var/lib/crossbeat/pairs").exists(), said(done))
        done = lab.crossbeat("a", "recover", "--from", B, "--code", new_code(lab))
        tell.check("recovery succeeds", done.returncode == 0, said(done))
        tell.check("the configuration is back", (root / "etc/crossbeat/crossbeat.toml").read_text() == toml)
        tell.check("the secondary served all the time", lab.pairing("b")["state"] == "FAILOVER_ACTIVE")
        tell.check("and tells of it", "Configuration given back to the primary" in events(lab, "b"), events(lab, "b"))
        lab.verb("start", "a")
        lab.wait_state("a", "TERMINATED", 40, "peer-in-command")
        tell.check("it is the same pairing", lab.pairing("a")["id"] == identity, lab.pairing("a"))
        done = lab.crossbeat("b", "failback", "--force")
        tell.check("the failback succeeds", done.returncode == 0, said(done))
        lab.wait_protected()
        tell.check("in a term above all before", lab.pairing("a")["term"] > term, (term, lab.pairing("a")["term"]))
