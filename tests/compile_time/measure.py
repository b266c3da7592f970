#!/usr/bin/env python3
"""What the derive costs the compiler, and how much code it makes, beside serde's and nfs3's.

It prints a table and ends with status 0: a measurement, not a test. See README.md.
"""

import argparse
import os
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "compile-time"
GUEST_X = ROOT / "tests" / "interop" / "guest.x"
MESSAGES = ROOT / "qemud-proto" / "src" / "messages.rs"
SEED = 4506
FIELDS = 6
BOUNDS = [8, 16, 32, 64, 100, 255, 256, 1024, 4096, 65536]

# The kinds of fields: the Rust type, whether it has a maximum, and the nearest type that nfs3_types has.
KINDS = [
    ("u32", False, "u32"),
    ("i32", False, "u32"),
    ("u64", False, "u64"),
    ("bool", False, "bool"),
    ("String", True, "Opaque<'static>"),
    ("Vec<u8>", True, "Opaque<'static>"),
    ("Vec<u32>", True, "Vec<u32>"),
    ("Option<u32>", False, "Nfs3Option<u32>"),
    ("[u8; 16]", False, "[u8; 16]"),
]

NOTES = """\
Differences between the contenders: nfs3_types has neither i32 (here u32), nor strings (here opaque, without UTF-8),
nor maximum lengths; serde-xdr reads Vec<u8> and [u8; 16] byte by byte as sequences, and has no maximum lengths."""


class Contender:
    def __init__(self, name, derive, uses, dependencies, native, entry):
        self.name = name
        self.derive = derive
        self.uses = uses
        self.dependencies = dependencies
        self.native = native
        self.entry = entry


def contenders(core):
    serde = 'serde = { version = "1", features = ["derive"] }'
    return [
        Contender("plain", "", "", "", 0, "let _ = (input, out); false"),
        Contender(
            "ours",
            "#[derive(xdr_core::Xdr)]",
            "",
            f'xdr-core = {{ path = "{core}" }}',
            0,
            "match xdr_core::from_slice::<{0}>(input) {{ Ok(value) => xdr_core::encode_into(&value, out).is_ok(), Err(_) => false }}",
        ),
        Contender(
            "serde",
            "#[derive(serde::Serialize, serde::Deserialize)]",
            "",
            f'{serde}\nserde-xdr = "0.6"',
            0,
            "match serde_xdr::from_reader::<_, {0}>(&mut &*input) {{ Ok(value) => serde_xdr::to_writer(out, &value).is_ok(), Err(_) => false }}",
        ),
        Contender(
            "nfs3",
            "#[derive(nfs3_macros::XdrCodec)]",
            "use nfs3_types::{nfs3::Nfs3Option, xdr_codec::{Opaque, Pack, Unpack}};",
            'nfs3_macros = "0.5"\nnfs3_types = "0.5"',
            2,
            "match {0}::unpack(&mut &*input) {{ Ok((value, _)) => value.pack(out).is_ok(), Err(_) => false }}",
        ),
    ]


def shapes(count):
    """`count` lists of fields, (kind, maximum) each, which differ for every contender."""
    source = random.Random(SEED)
    seen = set()
    made = []
    while len(made) < count:
        shape = [(source.choice(KINDS), source.choice(BOUNDS)) for _ in range(FIELDS)]
        key = tuple(kind[2] for kind, _ in shape)
        if key not in seen:
            seen.add(key)
            made.append(shape)
    return made


def structs(contender, made):
    lines = []
    for number, shape in enumerate(made):
        lines += [contender.derive, f"pub struct S{number} {{"]
        for index, (kind, bound) in enumerate(shape):
            if contender.name == "ours" and kind[1]:
                lines.append(f"    #[xdr(max = {bound})]")
            lines.append(f"    pub field{index}: {kind[contender.native]},")
        lines.append("}")
    return "\n".join(lines) + "\n"


def table(entries, buffer):
    """A program that calls each of `entries`, (name, body) each, through a table that the compiler cannot see through."""
    lines = []
    for name, body in entries:
        lines.append(f"fn {name}(input: &[u8], out: &mut {buffer}) -> bool {{ {body} }}")
    lines.append(f"type Entry = fn(&[u8], &mut {buffer}) -> bool;")
    names = ", ".join(name for name, _ in entries)
    lines += [
        f"const TABLE: &[Entry] = &[{names}];",
        "fn main() {",
        "    let input: Vec<u8> = std::env::args().nth(1).unwrap_or_default().into();",
        f"    let mut out = {buffer}::new();",
        "    for entry in std::hint::black_box(TABLE) {",
        "        println!(\"{}\", entry(std::hint::black_box(&input), std::hint::black_box(&mut out)));",
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def package(name, dependencies, source):
    """A package of the generated workspace. `source`: ("lib" or "main", text)."""
    manifest = f'[package]\nname = "{name}"\nversion = "0.0.0"\nedition = "2024"\n\n[dependencies]\n{dependencies}\n'
    write(WORK / name / "Cargo.toml", manifest)
    write(WORK / name / "src" / f"{source[0]}.rs", "#![allow(dead_code)]\n" + source[1])
    return name


def procedures():
    """The names of the guest protocol's messages, as its table has them."""
    text = MESSAGES.read_text()
    return re.findall(r"^    (\w+)\(\1\),$", text[text.index("pub enum Guest {"):], re.MULTILINE)


def guest_entries():
    body = (
        "match xdr_core::from_slice::<{0}>(input) {{ Ok(value) => xdr_core::encode_into(&value, out).is_ok(), "
        "Err(_) => false }}"
    )
    entries = []
    for name in procedures():
        entries.append((f"args_{name.lower()}", body.format(f"<{name} as Procedure>::Args")))
        entries.append((f"reply_{name.lower()}", body.format(f"<{name} as Procedure>::Reply")))
    return entries


def generate(arguments):
    core = arguments.core.resolve()
    made = shapes(arguments.structs)
    members = []
    for contender in contenders(core):
        text = contender.uses + "\n" + structs(contender, made)
        members.append(package(f"check-{contender.name}", contender.dependencies, ("lib", text)))
        buffer = "xdr_core::BytesMut" if contender.name == "ours" else "Vec::<u8>"
        entries = [(f"s{number}", contender.entry.format(f"S{number}")) for number in range(arguments.structs)]
        for prefix, called in (("build", entries), ("one", entries[:1])):
            main = ("main", text + table(called, buffer))
            members.append(package(f"{prefix}-{contender.name}", contender.dependencies, main))
    if arguments.core == ROOT / "xdr-core":
        proto = ROOT / "qemud-proto"
        frame = ROOT / "rpc-frame"
    else:
        # The same protocol on another codec: its crates must stand beside it.
        proto = core.parent / "qemud-proto"
        frame = core.parent / "rpc-frame"
    if proto.is_dir():
        dependencies = (
            f'xdr-core = {{ path = "{core}" }}\nrpc-frame = {{ path = "{frame}", default-features = false }}\n'
            f'qemud-proto = {{ path = "{proto}", default-features = false }}'
        )
        uses = "#![allow(unused_imports)]\nuse qemud_proto::messages::*;\nuse rpc_frame::Procedure;\n"
        word = [("word", guest_entries()[0][1].replace("<GetVersion as Procedure>::Args", "u32"))]
        for name, entries in (("empty", []), ("word", word), ("all", guest_entries())):
            members.append(package(f"guest-{name}", dependencies, ("main", uses + table(entries, "xdr_core::BytesMut"))))
    listed = ", ".join(f'"{member}"' for member in members)
    small = '[profile.small]\ninherits = "release"\nopt-level = "s"\n'
    write(WORK / "Cargo.toml", f'[workspace]\nresolver = "3"\nmembers = [{listed}]\n\n{small}')
    return members


def run(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


def cargo(verb, name, *options):
    """Wall-clock and processor seconds of one cargo command."""
    environment = dict(os.environ, CARGO_INCREMENTAL="0", CARGO_TARGET_DIR=str(WORK / "target"))
    before = os.times()
    start = time.perf_counter()
    run(["cargo", verb, "--quiet", "--package", name, *options], cwd=WORK, env=environment)
    wall = time.perf_counter() - start
    after = os.times()
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


def rebuild(verb, name, *options):
    for source in (WORK / name / "src").iterdir():
        source.touch()
    return cargo(verb, name, *options)


def measure(verb, names, rounds, *options):
    """Medians of wall-clock and processor seconds of each crate alone, in interleaved rounds."""
    for name in names:
        cargo(verb, name, *options)
    taken = {name: [] for name in names}
    for number in range(rounds):
        print(f"  {verb}, round {number + 1} of {rounds}", file=sys.stderr)
        for name in names:
            taken[name].append(rebuild(verb, name, *options))
    return {name: [statistics.median(column) for column in zip(*times)] for name, times in taken.items()}


def text_of(path):
    """Bytes of machine code in a program or object file."""
    return sum(int(size) for size in re.findall(r"^\.text\S*\s+(\d+)", run(["size", "-A", str(path)]), re.MULTILINE))


def program(name, profile="release"):
    return WORK / "target" / profile / name


def row(*cells):
    print(f"{cells[0]:<46}" + "".join(f"{cell:>14}" for cell in cells[1:]))


def verdict(value, most):
    return f"{value:.2f}", f"{most}", "met" if value <= most else "missed"


def check_times(rounds):
    names = ["plain", "ours", "serde", "nfs3"]
    times = measure("check", [f"check-{name}" for name in names], rounds)
    beyond = [{name: times[f"check-{name}"][k] - times["check-plain"][k] for name in names} for k in (0, 1)]
    print()
    row("cargo check", "wall s", "beyond plain", "CPU s", "beyond plain")
    for name in names:
        wall, cpu = times[f"check-{name}"]
        row(f"  {name}", f"{wall:.2f}", f"{beyond[0][name]:.2f}", f"{cpu:.2f}", f"{beyond[1][name]:.2f}")
    for k, clock in enumerate(("wall", "CPU")):
        for other, most in (("serde", 0.3), ("nfs3", 1.25)):
            ratio = beyond[k]["ours"] / beyond[k][other]
            value, goal, met = verdict(ratio, most)
            row(f"  ours / {other}, {clock}", value, f"<= {goal}", met)


def release_builds(rounds, count):
    names = ["plain", "ours", "serde", "nfs3"]
    times = measure("build", [f"build-{name}" for name in names], rounds, "--release")
    print()
    row("release build, every codec instantiated", "wall s", "CPU s", ".text", "a struct", "each further")
    plain = text_of(program("build-plain"))
    for name in names:
        cargo("build", f"one-{name}", "--release")
        wall, cpu = times[f"build-{name}"]
        text, one = text_of(program(f"build-{name}")), text_of(program(f"one-{name}"))
        further = (text - one) / max(count - 1, 1)
        row(f"  {name}", f"{wall:.2f}", f"{cpu:.2f}", text, f"{(text - plain) / count:.0f}", f"{further:.0f}")
    for k, clock in enumerate(("wall", "CPU")):
        value, goal, met = verdict(times["build-ours"][k] / times["build-nfs3"][k], 1.0)
        row(f"  ours / nfs3, {clock}", value, f"<= {goal}", met)
    size = (text_of(program("build-ours")) - plain) / count
    row("  ours, bytes of .text a struct", f"{size:.0f}", "<= 800", "met" if size <= 800 else "missed")
    row("", "", "wish 700", "met" if size <= 700 else "missed")


def rpcgen_sizes():
    """Bytes of machine code that rpcgen makes of the guest protocol, at -O2 and -Os; none without the tools."""
    if not (shutil.which("rpcgen") and shutil.which("cc") and shutil.which("pkg-config")):
        print("SKIPPED: rpcgen, cc or pkg-config is missing", file=sys.stderr)
        return None
    folder = WORK / "rpcgen"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(GUEST_X, folder)
    run(["rpcgen", "-h", "-o", "guest.h", "guest.x"], cwd=folder)
    run(["rpcgen", "-c", "-o", "guest_xdr.c", "guest.x"], cwd=folder)
    flags = run(["pkg-config", "--cflags", "libtirpc"]).split()
    sizes = []
    for level in ("-O2", "-Os"):
        run(["cc", "-std=gnu11", level, "-w", *flags, "-c", "-o", f"guest{level}.o", "guest_xdr.c"], cwd=folder)
        sizes.append(text_of(folder / f"guest{level}.o"))
    return sizes


def guest_sizes():
    sizes = {}
    for options, profile in ((["--release"], "release"), (["--profile", "small"], "small")):
        for name in ("empty", "word", "all"):
            cargo("build", f"guest-{name}", *options)
            sizes[name, profile] = text_of(program(f"guest-{name}", profile))
    print()
    row("the guest protocol's codec, bytes of .text", "speed", "size")
    from_c = rpcgen_sizes()
    profiles = ("release", "small")
    if from_c:
        row("  rpcgen -c, object file (-O2, -Os)", *from_c)
    row("  ours, all messages", *(sizes["all", p] - sizes["word", p] for p in profiles))
    row("  ours, what every codec shares (errors, paths)", *(sizes["word", p] - sizes["empty", p] for p in profiles))
    if from_c:
        row("  ours / rpcgen", *(f"{(sizes['all', p] - sizes['word', p]) / c:.2f}" for p, c in zip(profiles, from_c)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds of `cargo check`; a third of them of release builds")
    parser.add_argument("--structs", type=int, default=200, help="how many structs")
    parser.add_argument("--quick", action="store_true", help="one round of each")
    parser.add_argument("--only", choices=["check", "build", "guest"], help="one part of the table")
    parser.add_argument("--core", type=Path, default=ROOT / "xdr-core", help="another xdr-core, xdr-derive beside it")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else max(arguments.rounds, 1)
    members = generate(arguments)
    compiler = run(["rustc", "--version"]).strip()
    print(f"{arguments.structs} structs of {FIELDS} fields, medians of {rounds} rounds; {compiler}; {platform.machine()}")
    print(NOTES)
    if arguments.only in (None, "check"):
        check_times(rounds)
    if arguments.only in (None, "build"):
        release_builds(max(rounds // 3, 1), arguments.structs)
    if arguments.only in (None, "guest") and "guest-all" in members:
        guest_sizes()


if __name__ == "__main__":
    main()
