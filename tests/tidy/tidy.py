#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the tree against the rules of the house (rules.py) and reports one case a rule."""

import os
import sys
from pathlib import Path
from xml.sax.saxutils import quoteattr

sys.dont_write_bytecode = True

from rules import RULES, Tree  # noqa: E402


LINES_TO_QUESTION = 400


def write_report(path, results):
    with open(path, "w", encoding="utf-8") as report:
        report.write('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites><testsuite name="tidy">\n')
        for rule, findings in results:
            report.write(f'<testcase classname="Tidy" name={quoteattr(rule.__name__)}')
            if findings:
                text = f"{len(findings)} found, first: {describe(findings[0])}"
                report.write(f"><failure message={quoteattr(text)}/></testcase>\n")
            else:
                report.write("/>\n")
        report.write("</testsuite></testsuites>\n")


def describe(finding):
    path, number, what = finding
    return f"{path}:{number}: {what}"


def main():
    top = Path(os.environ.get("CB_SOURCE_DIR") or Path(__file__).resolve().parents[2])
    tree = Tree(top, os.environ.get("CB_BUILD_DIR"))
    results = [(rule, list(rule(tree))) for rule in RULES]
    for _, findings in results:
        for finding in findings:
            print(describe(finding))
    for path, text in tree.sources():
        if text.count("\n") > LINES_TO_QUESTION:
            print(f"note: {path} has {text.count(chr(10))} lines; is it one thing?")
    broken = sum(1 for _, findings in results if findings)
    print(f"tidy: {len(results) - broken} rules kept, {broken} broken, {len(tree.texts)} files")
    if os.environ.get("CB_REPORT"):
        write_report(os.environ["CB_REPORT"], results)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
