#!/usr/bin/python3
"""Which tests prove which line of tests/data/invariants.tsv and of tests/data/notices.tsv? TAP; fails where one has none.

invariants.py --list prints the tests of each line instead.
"""
import collections
import os
import re
import sys

TESTS = os.path.realpath(os.path.join(os.path.dirname(__file__), ".."))
# A test as it is defined: Python's, cmocka's, or a case of a shell script.
DEFINED = re.compile(r"^(?:\s*def |)(test_\w+)\(|^test_name=(test_\w+)", re.M)
LINES = re.compile(r"(?:_|\b)([IBib]\d+)(?=_|\b)")


def rows(name):
    with open(os.path.join(TESTS, "data", name), encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                yield line.rstrip("\n").split("\t")


def tests():
    """Name of each test -> its file. Numbers of lines without a test function may stand in the comment at the head of a script."""
    found = {}
    for folder in ("unit", "table", "session", "integration"):
        for name in sorted(os.listdir(os.path.join(TESTS, folder))):
            path = os.path.join(TESTS, folder, name)
            if not name.endswith((".c", ".py", ".sh")):
                continue
            with open(path, encoding="utf-8") as file:
                text = file.read()
            for match in DEFINED.finditer(text):
                found[match.group(1) or match.group(2)] = f"{folder}/{name}"
            if name.endswith(".sh"):
                found[f"{name} " + " ".join(LINES.findall(text[:400]))] = f"{folder}/{name}"
    return found


def by_line(found):
    carriers = collections.defaultdict(list)
    known = {number for number, *_ in rows("invariants.tsv")}
    for test, path in found.items():
        for number in LINES.findall(test):
            if number[0].isupper() or number.upper() in known:      # "test_b64_" is about something else
                carriers[number.upper()].append(f"{path}: {test}")
    return carriers


def judge_invariants(carriers):
    """(what, complaint) of each line; complaint is None where all is well."""
    known = set()
    for number, state, words in rows("invariants.tsv"):
        known.add(number)
        complaint = None
        if state == "now" and not carriers[number]:
            complaint = "no test carries it in its name"
        elif state not in ("now", "open") and not state.startswith("later: "):
            complaint = f"no such state: {state}"
        yield f"{number} {words} [{state}]", complaint
    for number in sorted(set(carriers) - known):
        if carriers[number]:
            yield f"{number}", f"is in no list, but {carriers[number][0]} carries it"


def judge_notices(found):
    used = set()
    for identity, state, test_or_reason, words in rows("notices.tsv"):
        complaint = None
        if state == "tested" and test_or_reason not in found:
            complaint = f"there is no {test_or_reason}"
        elif state not in ("tested", "excused") and not state.startswith("later: "):
            complaint = f"no such state: {state}"
        elif len(test_or_reason) < 10:
            complaint = "no reason"
        used.add(test_or_reason)
        yield f"{identity} {words} [{state}]", complaint
    for test in sorted(found):
        if re.match(r"test_(lsn|cve)_", test) and test not in used:
            yield test, "is in no row of notices.tsv"


def main():
    found = tests()
    carriers = by_line(found)
    if "--list" in sys.argv:
        for number, state, words in rows("invariants.tsv"):
            print(f"{number} [{state}] {words}")
            print("".join(f"    {test}\n" for test in carriers[number]), end="")
        for identity, state, test_or_reason, words in rows("notices.tsv"):
            print(f"{identity} [{state}] {words}\n    {found.get(test_or_reason, '')}{': ' if test_or_reason in found else ''}{test_or_reason}")
        return 0
    results = [*judge_invariants(carriers), *judge_notices(found)]
    print(f"1..{len(results)}")
    for number, (what, complaint) in enumerate(results, 1):
        print(f"{'ok' if complaint is None else 'not ok'} {number} - {what}{'' if complaint is None else ': ' + complaint}")
    return 1 if any(complaint for _, complaint in results) else 0


if __name__ == "__main__":
    sys.exit(main())
