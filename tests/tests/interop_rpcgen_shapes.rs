//! What rpcgen and libtirpc make of our types: every type is exported as a `.x` file and translated to C, and
//! what we encode is decoded and encoded again there.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use xdr_core::{export_x, x_name};
use xdr_tests::foreign_c::CFolder;
use xdr_tests::shape_table::{Shape, shapes};

/// Values of each type.
const VALUES: usize = 40;

fn build(shapes: &[Shape]) -> Option<PathBuf> {
    let folder = CFolder::new(Path::new(env!("CARGO_TARGET_TMPDIR")).join("rpcgen-shapes"))?;
    let types: Vec<_> = shapes.iter().map(|shape| shape.schema).collect();
    let definitions = export_x(&types);
    folder.write("shapes.x", &definitions);
    let mut table = String::new();
    for shape in shapes {
        let name = x_name((shape.schema)());
        assert!(definitions.contains(&format!(" {name} ")), "{name} is not exported");
        writeln!(table, "{{ (xdrproc_t)xdr_{name}, sizeof({name}) }},").unwrap();
    }
    folder.write("shapes.inc", &table);
    folder.copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/interop/shapes.c")), "main.c");
    folder.rpcgen("-h", "shapes.x", "shapes.h");
    folder.rpcgen("-c", "shapes.x", "shapes_xdr.c");
    folder.compile("shapes", "-O0", &["main.c", "shapes_xdr.c"]);
    Some(folder.file("shapes"))
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
