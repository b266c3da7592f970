#!/usr/bin/env python3
"""Goes the README's walk to a running guest: types its commands into a shell, and compares what they print.

Usage: .ci/readme_walk.py

The commands are the lines that begin with `$ ` in the section's console blocks, and what they print on their standard
output is the lines below them. A command that ends with `&` has printed its lines before the next one is typed.
"""

import os
import pathlib
import queue
import shutil
import signal
import subprocess
import sys
import threading

SECTION = "From nothing to a running guest"
FOLDER = pathlib.Path("/tmp/guests")  # as the section names it
ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD_SECONDS = 1800
MARK = "-- done with status"


def blocks(text):
    """The console blocks of the section, each a list of commands with the lines that they print."""
    found, block, inside = [], None, False
    for line in text.splitlines():
        if line.startswith("## "):
            inside = line == f"## {SECTION}"
        elif inside and line == "```console":
            block = []
        elif block is not None and line == "```":
            found.append(block)
            block = None
        elif block is not None and line.startswith("$ "):
            block.append((line[2:], []))
        elif block is not None:
            block[-1][1].append(line)
    return found


class Shell:
    def __init__(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GUESTD_")}
        # The README's programs are where cargo puts them if nobody says otherwise.
        environment.pop("CARGO_TARGET_DIR", None)
        self.process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip())
        self.lines.put(None)

    def type(self, command, expected):
        """Types a command and reads until it is done and, if it stays in the background, has printed what is expected."""
        print(f"$ {command}", flush=True)
        self.process.stdin.write(f"{command}\nprintf '%s %d\\n' '{MARK}' $?\n")
        self.process.stdin.flush()
        printed, status = [], None
        while status is None or (command.endswith("&") and len(printed) < len(expected)):
            line = self.lines.get(timeout=BUILD_SECONDS)
            if line is None:
                sys.exit(f"error: the shell has ended; printed: {printed}")
            if line.startswith(MARK):
                status = int(line.removeprefix(MARK))
            else:
                print(line, flush=True)
                printed.append(line)
        if status != 0:
            sys.exit(f"error: it ended with status {status}")
        if printed != [line.rstrip() for line in expected]:
            sys.exit(f"error: the README says that it prints {expected}")

    def end(self):
        """Ends what is left, guests included, of which the daemon's end would leave some."""
        guestctl = ["target/debug/guestctl", "-c", f"qemu+unix:///session?socket={FOLDER}/sock", "destroy", "empty"]
        if (FOLDER / "sock").exists():
            subprocess.run(guestctl, cwd=ROOT, capture_output=True, timeout=60, check=False)
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        self.process.wait()


def main():
    if shutil.which("qemu-system-x86_64") is None:
        if os.environ.get("GUEST_REQUIRE_TOOLS") == "1":
            sys.exit("error: there is no program `qemu-system-x86_64` in PATH, and GUEST_REQUIRE_TOOLS=1 forbids skipping")
        print("SKIPPED: there is no program `qemu-system-x86_64` in PATH")
        return
    walk = blocks((ROOT / "README.md").read_text())
    if len(walk) < 2 or len(walk[0]) != 5:
        sys.exit(f"error: the section '{SECTION}' does not begin with five commands that lead to a guest")
    if FOLDER.exists():
        sys.exit(f"error: {FOLDER} is there already, and the walk begins with nothing")
    shell = Shell()
    try:
        for command, expected in (step for block in walk for step in block):
            shell.type(command, expected)
        if not (FOLDER / "screen.png").read_bytes().startswith(b"\x89PNG"):
            sys.exit("error: the picture is none")
    finally:
        shell.end()
        shutil.rmtree(FOLDER, ignore_errors=True)


main()
