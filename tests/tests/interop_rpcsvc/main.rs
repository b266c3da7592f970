//! Protocols that were not made for this project, as their `.x` files stand in `/usr/include/rpcsvc`: types that were
//! written for them here, and what rpcgen makes of the files, say the same of the same bytes, hostile ones included.

mod mount; // MOUNT version 1: lists whose nodes hold lists
mod nis; //   the objects of NIS+: a large union, arrays of structs, strings and opaque without a maximum
mod yp; //    the yellow pages: three programs in one file, negative values, unions on `bool` and on an enum

use std::path::Path;

use fastrand::Rng;
use rpc_frame::ProcedureTable;
use xdr_core::{DecodeError, DecodeErrorKind, DecodeOwned, Encode, Type, annotate, arbitrary_wire};
use xdr_tests::foreign_c::{CFolder, Codecs};
use xdr_tests::foreign_tool::missing;

/// Values of each type, and as many times five hostile forms of them.
const VALUES: usize = 40;

/// A type of the file, and ours.
struct Twin {
    /// Its name in the file.
    name: &'static str,
    schema: Type,
    /// Decodes a value of ours and encodes it again.
    again: fn(&[u8]) -> Result<Vec<u8>, DecodeError>,
}

fn twin<T: Encode + DecodeOwned>(name: &'static str) -> Twin {
    let again = |wire: &[u8]| xdr_core::from_slice::<T>(wire).map(|value| xdr_core::to_vec(&value).unwrap());
    Twin { name, schema: <T as Encode>::schema, again }
}

/// rpcgen's codecs of the twins, from the file of this name as it is installed.
fn codecs(file: &str, twins: &[Twin]) -> Option<(CFolder, Codecs)> {
    let installed = Path::new("/usr/include/rpcsvc").join(file);
    if !installed.is_file() {
        missing(&format!("there is no `{}`", installed.display()));
        return None;
    }
    let folder = CFolder::new(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rpcsvc-{file}")))?;
    folder.copy(&installed, "shapes.x");
    let codecs = Codecs::build(&folder, twins.iter().map(|twin| twin.name));
    Some((folder, codecs))
}

/// Values go both ways unchanged, and of hostile bytes both think the same, but for what we are strict about.
fn agree(file: &str, twins: &[Twin]) -> Option<CFolder> {
    let (folder, mut codecs) = codecs(file, twins)?;
    let mut random = Rng::with_seed(7);
    let (mut taken, mut refused) = (0, 0);
    for (index, twin) in twins.iter().enumerate() {
        for _ in 0..VALUES {
            // A C string ends at its first NUL, so none is made.
            let seed: Vec<u8> = (0..random.usize(..400)).map(|_| random.u8(1..)).collect();
            let wire = arbitrary_wire((twin.schema)(), &mut arbitrary::Unstructured::new(&seed)).unwrap();
            assert_eq!((twin.again)(&wire).as_deref(), Ok(&*wire), "{}", twin.name);
            assert_eq!(codecs.again(index, &wire).as_deref(), Some(&*wire), "{}: {wire:02x?}", twin.name);
            for _ in 0..5 {
                let hostile = spoilt(wire.clone(), &mut random);
                let (ours, theirs) = ((twin.again)(&hostile), codecs.again(index, &hostile));
                match (&ours, &theirs) {
                    (Ok(again), Some(theirs)) => {
                        assert_eq!(*again, hostile, "{}", twin.name);
                        assert!(*theirs == hostile || has_nul(twin, &hostile), "{}: {hostile:02x?}", twin.name);
                        taken += 1;
                    }
                    (Err(_), None) => refused += 1,
                    (Err(error), Some(_)) if is_strict(error.kind) => {}
                    _ => panic!("{}: we say {ours:?}, C {theirs:?} to {hostile:02x?}", twin.name),
                }
            }
        }
    }
    codecs.finish();
    assert!(taken > twins.len() * VALUES / 4 && refused > twins.len() * VALUES / 2, "{taken} and {refused}");
    Some(folder)
}

/// What rpcgen's codecs let pass (RFC 4506 §4 forbids the padding, §4.3 and §4.4 the values), and what strings are for us.
fn is_strict(kind: DecodeErrorKind) -> bool {
    matches!(
        kind,
        DecodeErrorKind::NonZeroPadding
            | DecodeErrorKind::InvalidBool(_)
            | DecodeErrorKind::InvalidOptionFlag(_)
            | DecodeErrorKind::UnknownEnumValue(_)
            | DecodeErrorKind::OutOfRange(_)
            | DecodeErrorKind::InvalidUtf8
    )
}

/// Whether a string holds a NUL, where C's ends.
fn has_nul(twin: &Twin, wire: &[u8]) -> bool {
    annotate((twin.schema)(), wire).iter().any(|piece| piece.meaning.starts_with('"') && piece.bytes.contains(&0))
}

/// One or two words changed, taken away or put between others, or the end cut off.
fn spoilt(mut wire: Vec<u8>, random: &mut Rng) -> Vec<u8> {
    const WORDS: [u32; 12] = [0, 1, 2, 3, 4, 7, 8, 64, 65, 1024, 1025, u32::MAX];
    for _ in 0..random.usize(1..=2) {
        let word = random.usize(..=wire.len() / 4) * 4;
        let there = wire.get(word..word + 4).map(|word| u32::from_be_bytes(word.try_into().unwrap()));
        match (random.u8(..5), there) {
            (0, Some(_)) => drop(wire.drain(word..word + 4)),
            (1, _) => drop(wire.splice(word..word, random.u32(..3).to_be_bytes())),
            (2, _) => wire.truncate(random.usize(..=wire.len())),
            (3, Some(number)) => {
                let near = number.wrapping_add_signed(random.i32(-2..=2));
                drop(wire.splice(word..word + 4, near.to_be_bytes()));
            }
            (_, Some(_)) => {
                drop(wire.splice(word..word + 4, WORDS[random.usize(..WORDS.len())].to_be_bytes()));
            }
            _ => {}
        }
    }
    wire
}

/// The table has the program's procedures, by the numbers of the header that rpcgen wrote. Names begin there with
/// `prefix`; procedure 0 is ours by itself.
fn has_its_procedures<T: ProcedureTable>(folder: &CFolder, program: &str, version: &str, prefix: &str) {
    let header = std::fs::read_to_string(folder.file("shapes.h")).unwrap();
    let defined = |name: &str| {
        let line = header.lines().find_map(|line| line.strip_prefix("#define ")?.strip_prefix(name)?.strip_prefix(' '));
        let text = line.unwrap_or_else(|| panic!("`{name}` is not defined"));
        text.strip_prefix("0x").map_or_else(|| text.parse(), |digits| u32::from_str_radix(digits, 16)).unwrap()
    };
    assert_eq!((T::PROGRAM, T::VERSION), (defined(program), defined(version)));
    for procedure in T::PROCEDURES {
        let mut name = prefix.to_owned();
        for (index, letter) in procedure.name.char_indices() {
            if index > 0 && letter.is_uppercase() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        assert_eq!(procedure.number, defined(&name), "{name}");
    }
    let begin = format!("#define {prefix}");
    let names: std::collections::BTreeSet<_> = header.lines().filter(|line| line.starts_with(&begin)).collect();
    assert_eq!(names.len(), T::PROCEDURES.len() + 1, "{names:?}");
}

#[test]
fn the_objects_of_nis_are_those_of_its_x_file() {
    agree("nis_object.x", &nis::twins());
}

#[test]
fn the_yellow_pages_are_those_of_their_x_file() {
    let Some(folder) = agree("yp.x", &yp::twins()) else { return };
    has_its_procedures::<yp::pages::Pages>(&folder, "YPPROG", "YPVERS", "YPPROC_");
    has_its_procedures::<yp::push::Push>(&folder, "YPPUSH_XFRRESPPROG", "YPPUSH_XFRRESPVERS", "YPPUSHPROC_");
    has_its_procedures::<yp::bind::Bind>(&folder, "YPBINDPROG", "YPBINDVERS", "YPBINDPROC_");
}

#[test]
fn mount_is_that_of_its_x_file() {
    let Some(folder) = agree("mount.x", &mount::twins()) else { return };
    has_its_procedures::<mount::Mount>(&folder, "MOUNTPROG", "MOUNTVERS", "MOUNTPROC_");
}
