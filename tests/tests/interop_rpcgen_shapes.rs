//! What rpcgen and libtirpc make of our types: every type is exported as a `.x` file and translated to C, and
//! what we encode is decoded and encoded again there.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use xdr_core::{export_x, x_name};
use xdr_tests::foreign_tool::{missing, require};
use xdr_tests::shape_table::{Shape, shapes};

/// Values of each type.
const VALUES: usize = 40;

fn build(shapes: &[Shape]) -> Option<PathBuf> {
    let (rpcgen, cc, pkg_config) = (require("rpcgen")?, require("cc")?, require("pkg-config")?);
    require("cpp")?;
    let flags = Command::new(pkg_config).args(["--cflags", "--libs", "libtirpc"]).output().unwrap();
    if !flags.status.success() {
        missing("pkg-config does not know libtirpc");
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rpcgen-shapes");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();

    let types: Vec<_> = shapes.iter().map(|shape| shape.schema).collect();
    let definitions = export_x(&types);
    // The table needs a name for each type: a typedef, which the export gives to fields as well.
    std::fs::write(folder.join("shapes.x"), &definitions).unwrap();
    let mut table = String::new();
    for shape in shapes {
        let name = x_name((shape.schema)());
        assert!(definitions.contains(&format!(" {name} ")), "{name} is not exported");
        writeln!(table, "{{ (xdrproc_t)xdr_{name}, sizeof({name}) }},").unwrap();
    }
    std::fs::write(folder.join("shapes.inc"), table).unwrap();
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/interop/shapes.c"), folder.join("main.c")).unwrap();
    run(Command::new(&rpcgen).args(["-M", "-h", "-o", "shapes.h", "shapes.x"]).current_dir(&folder));
    run(Command::new(&rpcgen).args(["-M", "-c", "-o", "shapes_xdr.c", "shapes.x"]).current_dir(&folder));
    let flags = String::from_utf8(flags.stdout).unwrap();
    let mut compile = Command::new(&cc);
    compile.args(["-std=gnu11", "-O0", "-w", "-o", "shapes", "main.c", "shapes_xdr.c"]);
    run(compile.args(flags.split_whitespace()).current_dir(&folder));
    Some(folder.join("shapes"))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn libtirpc_decodes_and_encodes_what_we_encode() {
    let shapes = shapes();
    let Some(program) = build(&shapes) else { return };
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    let mut from = child.stdout.take().unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let mut compared = 0;
    for (index, shape) in shapes.iter().enumerate() {
        for _ in 0..VALUES {
            // A C string ends at its first NUL, so none is made.
            let seed: Vec<u8> = (0..random.usize(..300)).map(|_| random.u8(1..)).collect();
            let source = &mut arbitrary::Unstructured::new(&seed);
            let Ok(wire) = xdr_core::arbitrary_wire((shape.schema)(), source) else { continue };
            let mut request = u32::try_from(index).unwrap().to_be_bytes().to_vec();
            request.extend(u32::try_from(wire.len()).unwrap().to_be_bytes());
            request.extend(&wire);
            to.write_all(&request).unwrap();
            let mut word = [0; 4];
            from.read_exact(&mut word).unwrap();
            let len = u32::from_be_bytes(word);
            assert_ne!(len, u32::MAX, "C refuses {}: {wire:02x?}", shape.name);
            let mut again = vec![0; len as usize];
            from.read_exact(&mut again).unwrap();
            assert_eq!(again, wire, "C encodes {} in another way", shape.name);
            compared += 1;
        }
    }
    drop(to);
    assert!(child.wait().unwrap().success());
    assert!(compared > shapes.len() * VALUES * 9 / 10, "only {compared} values were compared");
}
