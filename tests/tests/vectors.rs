//! Bytes that are printed in the standards.
use xdr_core::Xdr;

const MAXUSERNAME: usize = 32;
const MAXFILELEN: usize = 65535;
const MAXNAMELEN: usize = 255;

/// RFC 4506 §7: `enum filekind { TEXT = 0, DATA = 1, EXEC = 2 };`
#[derive(Debug, Clone, Copy, PartialEq, Xdr)]
enum FileKind {
    Text = 0,
    Data = 1,
    Exec = 2,
}

/// RFC 4506 §7: `union filetype switch (filekind kind) { … };`
#[derive(Debug, PartialEq, Xdr)]
#[xdr(switch = FileKind)]
enum FileType {
    #[xdr(case = FileKind::Text)]
    Text,
    #[xdr(case = FileKind::Data)]
    Data {
        #[xdr(max = MAXNAMELEN)]
        creator: String,
    },
    #[xdr(case = FileKind::Exec)]
    Exec {
        #[xdr(max = MAXNAMELEN)]
        interpretor: String,
    },
}

/// RFC 4506 §7: `struct file { … };`
#[derive(Debug, PartialEq, Xdr)]
struct File {
    #[xdr(max = MAXNAMELEN)]
    filename: String,
    r#type: FileType,
    #[xdr(max = MAXUSERNAME)]
    owner: String,
    #[xdr(max = MAXFILELEN)]
    data: Vec<u8>,
}

/// RFC 4506 §7: the user named "john" wants to store his lisp program "sillyprog" that contains just
/// the data "(quit)".
static SILLYPROG: [u8; 48] = [
    0x00, 0x00, 0x00, 0x09, //  0: length of filename = 9
    0x73, 0x69, 0x6c, 0x6c, //  4: sill
    0x79, 0x70, 0x72, 0x6f, //  8: ypro
    0x67, 0x00, 0x00, 0x00, // 12: g, and 3 zero-bytes of fill
    0x00, 0x00, 0x00, 0x02, // 16: filekind is EXEC = 2
    0x00, 0x00, 0x00, 0x04, // 20: length of interpretor = 4
    0x6c, 0x69, 0x73, 0x70, // 24: lisp
    0x00, 0x00, 0x00, 0x04, // 28: length of owner = 4
    0x6a, 0x6f, 0x68, 0x6e, // 32: john
    0x00, 0x00, 0x00, 0x06, // 36: length of file data = 6
    0x28, 0x71, 0x75, 0x69, // 40: (qui
    0x74, 0x29, 0x00, 0x00, // 44: t), and 2 zero-bytes of fill
];

fn sillyprog() -> File {
    File {
        filename: "sillyprog".into(),
        r#type: FileType::Exec { interpretor: "lisp".into() },
        owner: "john".into(),
        data: b"(quit)".to_vec(),
    }
}

#[test]
fn the_example_of_rfc_4506_is_encoded_byte_for_byte() {
    assert_eq!(xdr_core::to_vec(&sillyprog()).unwrap(), SILLYPROG);
    assert_eq!(xdr_core::encoded_len(&sillyprog()), 48);
}

#[test]
fn the_example_of_rfc_4506_is_decoded() {
    assert_eq!(xdr_core::from_slice::<File>(&SILLYPROG).unwrap(), sillyprog());
}

#[test]
fn the_example_of_rfc_4506_is_decoded_without_a_copy() {
    #[derive(Debug, PartialEq, Xdr)]
    #[xdr(switch = FileKind)]
    enum Borrowed<'a> {
        #[xdr(case = FileKind::Exec)]
        Exec(#[xdr(max = MAXNAMELEN)] &'a str),
    }
    type File<'a> = (Name<'a>, Borrowed<'a>, Name<'a>, Data<'a>);
    #[derive(Debug, PartialEq, Xdr)]
    struct Name<'a>(#[xdr(max = MAXNAMELEN)] &'a str);
    #[derive(Debug, PartialEq, Xdr)]
    struct Data<'a>(#[xdr(max = MAXFILELEN)] &'a [u8]);
    let (name, kind, owner, data) = xdr_core::from_slice::<File<'_>>(&SILLYPROG).unwrap();
    assert_eq!((name.0, kind, owner.0, data.0), ("sillyprog", Borrowed::Exec("lisp"), "john", &b"(quit)"[..]));
    assert_eq!(data.0.as_ptr(), SILLYPROG[40..].as_ptr());
}
