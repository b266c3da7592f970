//! Definitions whose names or order are not obvious.

use crate::{Encode, Type, Xdr};
use alloc::format;
use alloc::vec::Vec;

fn export_x(types: &[Type]) -> alloc::string::String {
    crate::export_x(types).unwrap()
}

#[derive(Xdr)]
#[xdr(transparent, rename = "mountlist")]
struct MountList(#[xdr(list, unbounded)] Vec<u32>);

#[derive(Xdr)]
#[xdr(transparent, rename = "checked")]
struct Checked(#[xdr(list, max = 4, validate = not_empty)] Vec<u32>);

#[expect(clippy::ptr_arg, reason = "it is called with what the field holds")]
fn not_empty(list: &Vec<u32>) -> bool {
    !list.is_empty()
}

#[test]
fn a_type_that_is_a_list_is_defined_by_its_nodes_and_not_by_itself() {
    let expected = "\
struct mountlist_node {
    unsigned int item;
    mountlist_node *next;
};

typedef mountlist_node *mountlist;
";
    assert_eq!(export_x(&[<MountList as Encode>::schema]), expected);
    assert_eq!(export_x(&[<Checked as Encode>::schema]), expected.replace("mountlist", "checked"));
}

/// Types that share their names with those beside it.
mod elsewhere {
    use crate::Xdr;
    use alloc::string::String;

    #[derive(Xdr)]
    pub(super) struct Entry {
        #[xdr(max = 5)]
        pub(super) name: String,
    }
}

#[derive(Xdr)]
struct Entry {
    number: u32,
}

#[derive(Xdr)]
struct Page<const N: usize> {
    #[xdr(max = N)]
    items: Vec<u32>,
}

#[derive(Xdr)]
struct Namesakes {
    one: Entry,
    other: elsewhere::Entry,
    one_again: Entry,
    other_again: elsewhere::Entry,
    short: Page<4>,
    long: Page<8>,
    #[xdr(max = 2, item(max = 3))]
    pages: Vec<Vec<u8>>,
    // As its neighbour's elements are called.
    namesakes: NamesakesPagesItem,
}

#[derive(Xdr)]
#[xdr(transparent, rename = "Namesakes_pages_item")]
struct NamesakesPagesItem(u64);

#[test]
fn types_of_one_name_that_differ_are_numbered() {
    assert_eq!(
        export_x(&[<Namesakes as Encode>::schema]),
        "\
struct Entry {
    unsigned int number;
};

struct Entry_2 {
    string name<5>;
};

struct Page {
    unsigned int items<4>;
};

struct Page_2 {
    unsigned int items<8>;
};

typedef opaque Namesakes_pages_item<3>;

typedef unsigned hyper Namesakes_pages_item_2;

struct Namesakes {
    Entry one;
    Entry_2 other;
    Entry one_again;
    Entry_2 other_again;
    Page short_;
    Page_2 long_;
    Namesakes_pages_item pages<2>;
    Namesakes_pages_item_2 namesakes;
};
"
    );
}

#[derive(Xdr)]
struct Counted {
    #[xdr(max = 3)]
    nothing: Vec<()>,
}

#[test]
fn of_an_array_of_nothing_its_count_is_defined() {
    assert_eq!(export_x(&[<Counted as Encode>::schema]), "struct Counted {\n    unsigned int nothing;\n};\n");
}

#[derive(Xdr)]
#[xdr(validate = is_small)]
struct Small<T>(T);

const fn is_small<T>(_: &Small<T>) -> bool {
    size_of::<T>() < 9
}

#[test]
fn a_generic_type_with_a_check_is_named_as_one_without() {
    assert_eq!(crate::x_name(<Small<u32> as Encode>::schema()), "Small_unsigned_int");
    assert!(export_x(&[<Small<u32> as Encode>::schema]).starts_with("struct Small_unsigned_int {"));
}

#[derive(Xdr)]
#[xdr(switch = bool)]
enum Any {
    #[xdr(default)]
    Any {
        #[xdr(tag)]
        tag: bool,
        #[xdr(max = 4)]
        words: Vec<u32>,
    },
}

#[derive(Xdr)]
struct Anys {
    any: Any,
    word: AnyWord,
}

#[derive(Xdr)]
#[xdr(switch = u32)]
enum AnyWord {
    #[xdr(default)]
    Nothing(#[xdr(tag)] u32),
}

#[test]
fn a_union_without_cases_which_xdr_does_not_know_is_its_discriminant_and_what_follows() {
    let expected = "\
struct Any {
    bool discriminant;
    unsigned int Any_arm<4>;
};

struct AnyWord {
    unsigned int discriminant;
};

struct Anys {
    Any any;
    AnyWord word;
};
";
    assert_eq!(export_x(&[<Anys as Encode>::schema]), expected);
}

#[derive(Debug, PartialEq, Xdr)]
#[repr(i32)]
enum Unnamed {
    #[xdr(other)]
    Other(i32),
}

#[test]
fn an_enum_without_names_is_an_integer() {
    assert_eq!(export_x(&[<Unnamed as Encode>::schema]), "typedef int Unnamed;\n");
    let wire = [0xff, 0xff, 0xff, 0xfe];
    assert_eq!(crate::to_vec(&Unnamed::Other(-2)).unwrap(), wire);
    assert_eq!(crate::from_slice(&wire), Ok(Unnamed::Other(-2)));
}

/// A pointer's name is used where what it points to is defined.
#[derive(Xdr)]
#[xdr(transparent)]
struct Link(Option<alloc::boxed::Box<Item>>);

#[derive(Xdr)]
struct Item {
    value: u32,
    next: Link,
}

#[derive(Xdr)]
#[xdr(transparent)]
struct Kids(#[xdr(max = 5)] Vec<Tree>);

#[derive(Xdr)]
struct Tree {
    #[xdr(recursive)]
    kids: Kids,
}

#[test]
fn a_typedef_that_comes_back_to_itself_stands_before_the_struct_that_uses_it() {
    let links = "typedef struct Item *Link;\n\nstruct Item {\n    unsigned int value;\n    Link next;\n};\n";
    assert_eq!(export_x(&[<Link as Encode>::schema]), links);
    let kids = "typedef struct Tree Kids<5>;\n\nstruct Tree {\n    Kids kids;\n};\n";
    assert_eq!(export_x(&[<Kids as Encode>::schema]), kids);
}

/// Another name for what points back to the name.
#[derive(Xdr)]
#[xdr(transparent)]
struct Place(Room);

#[derive(Xdr)]
struct Room {
    number: u32,
    door: Option<alloc::boxed::Box<Place>>,
}

#[derive(Xdr)]
struct Pairs {
    #[xdr(max = 5, recursive)]
    pairs: Vec<[Pairs; 2]>,
}

#[derive(Xdr)]
#[xdr(transparent)]
struct Nest(#[xdr(max = 5, recursive)] Vec<Nest>);

#[test]
fn a_typedef_that_would_stand_before_itself_is_a_struct_of_one_member() {
    let place = "typedef struct Room Place;\n\nstruct Room {\n    unsigned int number;\n    Place *door;\n};\n";
    assert_eq!(export_x(&[<Place as Encode>::schema]), place);
    assert_eq!(export_x(&[<Room as Encode>::schema]), place);
    let pairs = "struct Pairs_pairs_item {\n    Pairs item[2];\n};\n";
    let expected = format!("struct Pairs {{\n    struct Pairs_pairs_item pairs<5>;\n}};\n\n{pairs}");
    assert_eq!(export_x(&[<Pairs as Encode>::schema]), expected);
    assert_eq!(export_x(&[<Nest as Encode>::schema]), "struct Nest {\n    struct Nest item<5>;\n};\n");
}

/// What holds itself with only boxes between, by ways of its own and through others.
#[derive(Xdr)]
enum Term {
    #[xdr(case = 0)]
    Number(i32),
    #[xdr(case = 1)]
    Sum(Sides, u32),
}

#[derive(Xdr)]
#[xdr(transparent)]
struct Sides([alloc::boxed::Box<Term>; 2]);

#[derive(Xdr)]
struct Lines {
    #[xdr(max = 9)]
    terms: Vec<Result<u32, alloc::boxed::Box<Term>>>,
}

#[test]
fn a_type_that_xdr_cannot_declare_is_an_error_that_names_it() {
    for schema in [<Term as Encode>::schema as Type, <Sides as Encode>::schema, <Lines as Encode>::schema] {
        let error = crate::export_x(&[<Page<4> as Encode>::schema, schema]).unwrap_err();
        assert_eq!(error.name, "Term");
        assert!(alloc::string::ToString::to_string(&error).starts_with("`Term` holds itself, as no type of C can"));
    }
}

type Word = u32;

#[derive(Xdr)]
#[xdr(switch = Word)]
enum High {
    #[xdr(case = 0x8000_0001)]
    Only,
}

#[test]
fn the_labels_of_a_union_over_another_name_of_unsigned_int_are_unsigned() {
    let expected = "union High switch (unsigned int discriminant) {\ncase 2147483649:\n    void;\n};\n";
    assert_eq!(export_x(&[<High as Encode>::schema]), expected);
}

#[derive(Xdr)]
struct Empty {
    opaque: [u8; 0],
    word: u32,
    words: [u32; 0],
    #[xdr(max = 2)]
    count: Vec<[[u8; 0]; 3]>,
}

#[test]
fn of_arrays_without_elements_nothing_is_defined() {
    let expected = "struct Empty {\n    unsigned int word;\n    unsigned int count;\n};\n";
    assert_eq!(export_x(&[<Empty as Encode>::schema]), expected);
}
