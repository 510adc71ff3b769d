#!/bin/bash
# The policies in the documents are good, and answer as the tables below them say. TAP on standard output.
set -u
build=${VIRTGATE_BUILD:-$PWD}
case $build in /*) ;; *) build=$PWD/$build ;; esac
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
virtgate=$build/virtgate
[ -x "$virtgate" ] || { echo "1..0 # SKIP $virtgate was not built"; exit 0; }
exec python3 - "$virtgate" <<'PY'
import os, re, subprocess, sys, tempfile

virtgate, number, failed = sys.argv[1], 0, False

def verdict(name, wrong):
    global number, failed
    number += 1
    failed = failed or bool(wrong)
    print(f"{'not ok' if wrong else 'ok'} {number} - {name}")
    for line in wrong.splitlines():
        print("#", line)

def run(*arguments):
    done = subprocess.run([virtgate, *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr

def examples(file):
    """Of a page: heading, policy, table or None. A policy is a ```json block, its table the ```table block behind it."""
    heading, policy = "", None
    for block in re.split(r"(?m)^(?=#|```)", open(file, encoding="utf-8").read()):
        if block.startswith("#"):
            heading = block.splitlines()[0].strip("# ")
        elif block.startswith("```json"):
            if policy is not None:
                yield heading, policy, None
            policy = block.partition("\n")[2]
        elif block.startswith("```table"):
            yield heading, policy, block.partition("\n")[2]
            policy = None
    if policy is not None:
        yield heading, policy, None

with tempfile.TemporaryDirectory() as directory:
    policy_file, table_file = os.path.join(directory, "policy.json"), os.path.join(directory, "policy.table")
    num = 0
    for heading, policy, table in examples("doc/from-polkit.md"):
        num += 1
        with open(policy_file, "w", encoding="utf-8") as file:
            file.write(policy or "")
        code, said = run("policy", "check", policy_file)
        verdict(f"from-polkit.md: {heading}: the policy is good, without warnings", "" if code == 0 and "WARNING" not in said else said)
        with open(table_file, "w", encoding="utf-8") as file:
            file.write(table or "")
        code, said = run("policy", "test", table_file, "--policy", policy_file)
        verdict(f"from-polkit.md: {heading}: it answers as the table says", "" if code == 0 else said)
    verdict("from-polkit.md has examples", "" if num >= 7 else f"only {num}")
    # the manual page of the file has its example in plain text
    policy = re.search(r"(?ms)^\.nf\n(\{.*?^\}\n)\.fi", open("doc/virtgate-policy.5", encoding="utf-8").read()).group(1)
    with open(policy_file, "w", encoding="utf-8") as file:
        file.write(policy)
    code, said = run("policy", "check", policy_file)
    verdict("virtgate-policy.5: the policy is good, without warnings", "" if code == 0 and "WARNING" not in said else said)
    # README has its example indented
    policy = re.search(r"(?ms)^    \{\n.*?^    \}\n", open("README.md", encoding="utf-8").read()).group(0)
    with open(policy_file, "w", encoding="utf-8") as file:
        file.write(policy)
    code, said = run("policy", "check", policy_file)
    verdict("README.md: the policy is good, without warnings", "" if code == 0 and "WARNING" not in said else said)
    code, said = run("policy", "can", "sasl:alice", "domain:start", "domain:web-1", "--policy", policy_file)
    verdict("README.md: and does what it is for", "" if code == 0 else said)
    code, said = run("policy", "check", "gateway/policy.json.example")
    verdict("policy.json.example is good, without warnings", "" if code == 0 and "WARNING" not in said else said)
print(f"1..{number}")
sys.exit(failed)
PY
