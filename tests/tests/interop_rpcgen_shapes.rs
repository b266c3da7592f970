//! What rpcgen and libtirpc make of our types: every type is exported as a `.x` file and translated to C, and
//! what we encode is decoded and encoded again there.

use std::path::Path;

use xdr_core::{Encode, Type, export_x, x_name};
use xdr_tests::foreign_c::{CFolder, Codecs};
use xdr_tests::shape_table::shapes;

/// Values of each type.
const VALUES: usize = 40;

fn build(folder: &str, types: &[Type]) -> Option<Codecs> {
    let folder = CFolder::new(Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder))?;
    let definitions = export_x(types).unwrap();
    folder.write("shapes.x", &definitions);
    let names: Vec<String> = types.iter().map(|schema| x_name(schema())).collect();
    for name in &names {
        let mut words = definitions.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        assert!(words.any(|word| word == name), "{name} is not exported");
    }
    Some(Codecs::build(&folder, names))
}

#[test]
fn libtirpc_decodes_and_encodes_what_we_encode() {
    compare("rpcgen-shapes", &shapes().iter().map(|shape| shape.schema).collect::<Vec<_>>());
}

/// Types that hold themselves and each other, in all the ways that XDR has for it.
mod recursive {
    use xdr_core::Xdr;

    #[derive(Xdr)]
    pub(crate) struct Tree {
        name: u32,
        #[xdr(max = 3, recursive)]
        branches: Vec<Tree>,
    }

    #[derive(Xdr)]
    pub(crate) struct Forest {
        name: u32,
        #[xdr(list, max = 3, recursive)]
        forests: Vec<Forest>,
        last: Option<Box<Forest>>,
    }

    #[derive(Xdr)]
    pub(crate) struct Folder {
        #[xdr(list, max = 3, recursive)]
        files: Vec<File>,
        newest: Option<Box<File>>,
        alias: Option<Box<Alias>>,
    }

    #[derive(Xdr)]
    pub(crate) struct File {
        number: u64,
        parent: Option<Box<Folder>>,
        #[xdr(max = 2, recursive)]
        links: Vec<Folder>,
    }

    #[derive(Xdr)]
    #[xdr(transparent)]
    pub(crate) struct Alias(#[xdr(recursive)] Folder);

    #[derive(Xdr)]
    pub(crate) enum Json {
        #[xdr(case = 0)]
        Null,
        #[xdr(case = 1)]
        Number(i64),
        #[xdr(case = 2)]
        Array(#[xdr(max = 4, recursive)] Vec<Json>),
        #[xdr(case = 3)]
        Object(#[xdr(max = 4, recursive)] Vec<(u32, Json)>),
        #[xdr(case = 4)]
        Pair(u32, Option<Box<Json>>),
        #[xdr(case = 5)]
        Next(Option<Box<Json>>),
        #[xdr(case = 6)]
        Nothings(#[xdr(max = 4)] Vec<()>),
    }

    /// Another name for what points back to the name.
    #[derive(Xdr)]
    #[xdr(transparent)]
    pub(crate) struct Place(Room);

    #[derive(Xdr)]
    pub(crate) struct Room {
        number: u32,
        door: Option<Box<Place>>,
        #[xdr(max = 2, recursive)]
        cupboards: Vec<Place>,
    }

    /// Names for names.
    #[derive(Xdr)]
    #[xdr(transparent)]
    pub(crate) struct Home(#[xdr(recursive)] Place);

    #[derive(Xdr)]
    pub(crate) struct Street {
        homes: [Home; 2],
        next: Option<Box<Home>>,
    }

    /// Elements of an array that are arrays of what holds it.
    #[derive(Xdr)]
    pub(crate) struct Pairs {
        number: u32,
        #[xdr(max = 2, recursive)]
        pairs: Vec<[Pairs; 2]>,
        #[xdr(max = 2, recursive)]
        squares: Vec<[[Pairs; 2]; 2]>,
        couple: Option<Box<Couple>>,
        #[xdr(list, max = 2, recursive)]
        couples: Vec<Couple>,
        #[xdr(recursive)]
        both: [Option<Box<Pairs>>; 2],
    }

    #[derive(Xdr)]
    #[xdr(transparent)]
    pub(crate) struct Couple(#[xdr(recursive)] [Pairs; 2]);

    /// Names that hold themselves.
    #[derive(Xdr)]
    #[xdr(transparent)]
    pub(crate) struct Nest(#[xdr(max = 2, recursive)] Vec<Nest>);

    #[derive(Xdr)]
    #[xdr(transparent)]
    pub(crate) struct Chain(Option<Box<Chain>>);

    #[derive(Xdr)]
    #[xdr(transparent)]
    pub(crate) struct Even(#[xdr(max = 2, recursive)] Vec<Odd>);

    #[derive(Xdr)]
    #[xdr(transparent)]
    pub(crate) struct Odd(#[xdr(recursive)] Option<Box<Ground>>);

    #[derive(Xdr)]
    #[xdr(transparent)]
    pub(crate) struct Ground(#[xdr(recursive)] Even);

    #[derive(Xdr)]
    #[xdr(transparent)]
    pub(crate) struct Herd(#[xdr(list, max = 3, recursive)] Vec<Herd>);

    #[derive(Xdr)]
    pub(crate) enum Kind {
        #[xdr(case = 0)]
        Several([Option<Box<Kind>>; 2]),
        #[xdr(case = 1)]
        Many(#[xdr(max = 2, recursive)] Vec<[(u32, Kind); 2]>),
        #[xdr(default)]
        None(#[xdr(tag)] i32),
    }
}

#[test]
fn libtirpc_decodes_and_encodes_names_that_come_back_to_themselves() {
    use recursive::{Chain, Couple, Even, Ground, Herd, Home, Kind, Nest, Odd, Pairs, Place, Room, Street};
    let types: [Type; 13] = [
        <Place as Encode>::schema,
        <Room as Encode>::schema,
        <Home as Encode>::schema,
        <Street as Encode>::schema,
        <Pairs as Encode>::schema,
        <Couple as Encode>::schema,
        <Nest as Encode>::schema,
        <Chain as Encode>::schema,
        <Even as Encode>::schema,
        <Odd as Encode>::schema,
        <Ground as Encode>::schema,
        <Herd as Encode>::schema,
        <Kind as Encode>::schema,
    ];
    compare("rpcgen-names", &types);
    for (index, schema) in types.into_iter().enumerate() {
        compare(&format!("rpcgen-names-{index}"), &[schema]);
    }
    let mut reversed = types;
    reversed.reverse();
    compare("rpcgen-names-reversed", &reversed);
}

#[test]
fn libtirpc_decodes_and_encodes_what_holds_itself() {
    use recursive::{File, Folder, Forest, Json, Tree};
    let types: [Type; 5] = [
        <Tree as Encode>::schema,
        <Forest as Encode>::schema,
        <Folder as Encode>::schema,
        <File as Encode>::schema,
        <Json as Encode>::schema,
    ];
    compare("rpcgen-recursive", &types);
    // Where one begins decides what is defined first.
    for (index, schema) in types.into_iter().enumerate() {
        compare(&format!("rpcgen-recursive-{index}"), &[schema]);
    }
}

/// Members called like words of C, like those of GNU's and of later C, and like macros of its headers.
#[derive(xdr_core::Xdr)]
struct Words {
    asm: u32,
    unix: u32,
    linux: i32,
    r#typeof: bool,
    nullptr: u64,
    constexpr: i64,
    thread_local: u32,
    static_assert: u32,
    alignas: u32,
    alignof: u32,
    errno: i32,
    #[xdr(rename = "NULL")]
    null: u32,
    #[xdr(rename = "EOF")]
    end: u32,
    #[xdr(rename = "TRUE")]
    yes: bool,
    #[xdr(rename = "FALSE")]
    no: bool,
    #[xdr(rename = "_Bool")]
    truth: bool,
    #[xdr(rename = "_Atomic")]
    atom: u32,
    register: u32,
    signed: i32,
    #[xdr(max = 5)]
    volatile: String,
}

#[test]
fn libtirpc_takes_members_that_are_called_like_words_of_c() {
    compare("rpcgen-words", &[<Words as Encode>::schema]);
}

fn compare(folder: &str, types: &[Type]) {
    let Some(mut codecs) = build(folder, types) else { return };
    let mut random = fastrand::Rng::with_seed(7);
    let mut compared = 0;
    for (index, schema) in types.iter().enumerate() {
        let mut made = 0;
        // What branches several ways at each level is often too large to be made.
        for _ in 0..8 * VALUES {
            if made == VALUES {
                break;
            }
            // A C string ends at its first NUL, so none is made.
            let seed: Vec<u8> = (0..random.usize(..300)).map(|_| random.u8(1..)).collect();
            let source = &mut arbitrary::Unstructured::new(&seed);
            let Ok(wire) = xdr_core::arbitrary_wire(schema(), source) else { continue };
            let again = codecs.again(index, &wire);
            let again = again.unwrap_or_else(|| panic!("C refuses {}: {wire:02x?}", schema().name));
            assert_eq!(again, wire, "C encodes {} in another way", schema().name);
            made += 1;
            compared += 1;
        }
    }
    codecs.finish();
    assert!(compared > types.len() * VALUES * 9 / 10, "only {compared} values were compared");
}
