//! Lists, and types that hold themselves, borrow or take parameters.
use super::*;

#[test]
fn a_list_is_a_chain_of_optional_data() {
    let value = Listing {
        entries: vec![Entry { id: 1, name: "a".into() }, Entry { id: 2, name: String::new() }],
        words: vec![7, 8],
        texts: vec!["x".into()],
        eof: true,
    };
    let mut wire = bytes(&[1, 0, 1, 1]);
    wire.extend(b"a\0\0\0");
    wire.extend(bytes(&[1, 0, 2, 0, 0, 1, 7, 1, 8, 0, 1, 1]));
    wire.extend(b"x\0\0\0");
    wire.extend(bytes(&[0, 1]));
    both_ways(&value, &wire);

    let long = Listing { words: vec![1; 4], ..value };
    let error = xdr_core::to_vec(&long).unwrap_err();
    assert_eq!(error.to_string(), "Listing.words: list of 4 nodes is longer than its maximum 3");
    let error = xdr_core::from_slice::<Listing>(&bytes(&[0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0])).unwrap_err();
    assert_eq!(error.path, "Listing.words");
    assert_eq!(error.kind, DecodeErrorKind::TooLong { what: Lengthy::List, len: 4, max: 3 });
}

#[test]
fn recursive_types_end_at_the_depth_limit() {
    let leaf = Tree { value: 1, left: None, children: vec![] };
    let value = Tree { value: 2, left: Some(Box::new(leaf.clone())), children: vec![leaf] };
    both_ways(&value, &bytes(&[2, 1, 1, 0, 0, 1, 1, 0, 0]));
    let wire = xdr_core::to_vec(&value).unwrap();
    let tight = |depth| xdr_core::from_slice_with::<Tree>(&wire, Limits::default().with_depth(depth));
    // A box or an array is one level, and the array inside it another.
    assert!(tight(2).is_ok());
    let error = tight(1).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::DepthLimit { limit: 1 });
    assert_eq!(error.path, "Tree.left.children");
}

#[derive(Debug, PartialEq, Xdr)]
struct Borrowed<'a> {
    #[xdr(max = 8)]
    name: &'a str,
    #[xdr(max = 8)]
    blob: &'a [u8],
    #[xdr(max = 8)]
    text: Cow<'a, str>,
    #[xdr(max = 2, item(max = 8))]
    names: Vec<&'a str>,
    #[xdr(max = 2)]
    words: &'a [[u8; 4]],
}

#[test]
fn borrowed_fields_point_into_the_input() {
    let words = [[0, 0, 0, 7], [0, 0, 1, 0]];
    let value = Borrowed { name: "ab", blob: &[1], text: "c".into(), names: vec!["d"], words: &words };
    let wire = xdr_core::to_vec(&value).unwrap();
    let back: Borrowed<'_> = xdr_core::from_slice(&wire).unwrap();
    assert_eq!(back, value);
    assert!(matches!(back.text, Cow::Borrowed(_)));
    assert_eq!(back.name.as_ptr(), wire[4..].as_ptr());
    assert_eq!(wire[wire.len() - 12..], bytes(&[2, 7, 256]));
    assert_eq!(back.words.as_ptr().cast(), wire[wire.len() - 8..].as_ptr());

    let (mut three, mut cut) = (wire.clone(), wire.clone());
    let count = wire.len() - 12;
    three[count + 3] = 3;
    three.extend([0; 4]);
    let error = xdr_core::from_slice::<Borrowed<'_>>(&three).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::TooLong { what: Lengthy::Array, len: 3, max: 2 });
    assert_eq!((error.offset, error.path.as_str()), (count, "Borrowed.words"));
    cut.truncate(wire.len() - 4);
    let error = xdr_core::from_slice::<Borrowed<'_>>(&cut).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::CountBeyondInput { count: 2, remaining: 4 });
}

#[derive(Debug, Clone, PartialEq, Xdr)]
struct Page<T, const N: usize> {
    #[xdr(max = N)]
    items: Vec<T>,
    #[xdr(max = N + 1)]
    more: Vec<T>,
    one: T,
}

#[test]
fn generic_types_take_their_bounds_from_constants() {
    let value = Page::<u32, 1> { items: vec![1], more: vec![2, 3], one: 4 };
    both_ways(&value, &bytes(&[1, 1, 2, 2, 3, 4]));
    let error = xdr_core::to_vec(&Page::<u32, 1> { items: vec![1, 2], more: vec![], one: 4 }).unwrap_err();
    assert_eq!(error.kind, EncodeErrorKind::TooLong { what: Lengthy::Array, len: 2, max: 1 });
}

#[derive(Debug, Clone, PartialEq, Xdr)]
#[xdr(bound(T: xdr_core::EncodeBounded<xdr_core::Max<xdr_core::Len<4>>> + for<'a> xdr_core::DecodeBounded<'a, xdr_core::Max<xdr_core::Len<4>>>))]
struct Bounded<T> {
    #[xdr(max = 4)]
    value: T,
}

#[test]
fn the_conditions_of_a_generic_type_can_be_given() {
    both_ways(&Bounded { value: "abc".to_owned() }, &[&bytes(&[3])[..], b"abc\0"].concat());
    both_ways(&Bounded { value: vec![1_u32] }, &bytes(&[1, 1]));
}
