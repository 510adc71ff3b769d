"""Turns pytest's JUnit file into lines "passed|failed|skipped <tab> test <tab> why" for ./check.

usage: junit_to_results.py FILE EXIT_CODE BUILD [selected]
"""
import sys
import xml.etree.ElementTree as ElementTree


def one_line(text):
    return " ".join((text or "").split())[:300]


def main(path, code, build, selected):
    seen_failure = False
    try:
        cases = list(ElementTree.parse(path).iter("testcase"))
    except (OSError, ElementTree.ParseError) as error:
        print(f"failed\tintegration\tpytest left no readable result (exit code {code}): {one_line(str(error))}")
        return
    for case in cases:
        name = f"integration with {build}: {case.get('name', '?')}"
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        skipped = case.find("skipped")
        if bad is not None:
            seen_failure = True
            print(f"failed\t{name}\t{one_line(bad.get('message'))}")
        elif skipped is not None:
            print(f"skipped\t{name}\t{one_line(skipped.get('message'))}")
        else:
            print(f"passed\t{name}\t")
    nothing_selected = code == 5 and selected
    if code != 0 and not seen_failure and not nothing_selected:
        print(f"failed\tintegration\tpytest ended with exit code {code}")


main(sys.argv[1], int(sys.argv[2]), sys.argv[3], len(sys.argv) > 4 and sys.argv[4] != "")
