#!/usr/bin/env python3
"""Holds the tree against what ARCHITECTURE.md promises of it.

Includes run one way: a room may include only itself and the rooms its CMakeLists.txt names in DEPENDS (and
what those may include). Files stay short enough to be one concept. The project speaks of itself alone.
Prints one line a finding and exits 1 if there is any.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINES_MAX = 520
COLUMNS_MAX = 100
# Stubs of the wire come from api's second target; test programs and demos may use whatever they test.
GRPC_ROOMS = {"kvcore/listener", "kvcore/server", "kvcore/transport", "client"}

ROOM_FOLDERS = ["kvcore/base", "kvcore/api", "kvcore/raft", "kvcore/mvcc", "kvcore/lease", "kvcore/replica",
                "kvcore/wal", "kvcore/lmdb", "kvcore/listener", "kvcore/transport", "kvcore/server", "client",
                "recipes/session", "recipes/lock", "recipes/election", "embedded", "cli", "bench"]


def tracked_files():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


def permissions():
    """Room name -> names it may include, itself and indirect ones among them."""
    direct = {}
    for folder in ROOM_FOLDERS:
        lists = ROOT / folder / "CMakeLists.txt"
        room = pathlib.Path(folder).name
        if not lists.exists():
            continue
        named = set()
        for depends in re.findall(r"DEPENDS\s+([a-z_ \n]+?)(?=\s+[A-Z]{4,}|\))", lists.read_text()):
            named |= set(depends.split())
        direct[room] = named
    allowed = {}
    for room in direct:
        seen, waiting = {room}, [room]
        while waiting:
            for other in direct.get(waiting.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        allowed[room] = seen
    return allowed


def check_includes(findings):
    allowed = permissions()
    for folder in ROOM_FOLDERS:
        room = pathlib.Path(folder).name
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in {".h", ".cc"}:
                continue
            for number, line in enumerate(path.read_text().splitlines(), 1):
                where = f"{path.relative_to(ROOT)}:{number}"
                found = re.match(r'#include "conclave/([a-z_]+)/', line)
                if found and found[1] not in allowed.get(room, {room}):
                    findings.append(f"{where}: room {room} may not include room {found[1]}")
                if re.match(r"#include <grpc", line) and folder not in GRPC_ROOMS:
                    findings.append(f"{where}: room {room} may not include gRPC")


def check_sizes(findings, files):
    for path in files:
        if path.suffix not in {".h", ".cc", ".py", ".sh"}:
            continue
        lines = path.read_text().splitlines()
        if len(lines) > LINES_MAX:
            findings.append(f"{path.relative_to(ROOT)}: {len(lines)} lines; one concept has at most {LINES_MAX}")
        for number, line in enumerate(lines, 1):
            if path.suffix in {".h", ".cc"} and len(line) > COLUMNS_MAX and "http" not in line:
                findings.append(f"{path.relative_to(ROOT)}:{number}: {len(line)} columns, over {COLUMNS_MAX}")


def check_words(findings, files):
    unfinished = re.compile(r"\b(TO" + "DO|FIX" + r"ME|XX" + r"X)\b")
    for path in files:
        if path.suffix not in {".h", ".cc", ".py", ".sh", ".md", ".proto"} or path.name == "LICENSE":
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if unfinished.search(line):
                findings.append(f"{path.relative_to(ROOT)}:{number}: unfinished work is not marked, it is done")


def main():
    files = tracked_files()
    findings = []
    check_includes(findings)
    check_sizes(findings, files)
    check_words(findings, files)
    for finding in findings:
        print(finding)
    print(f"checked {len(files)} files: {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
