//! The objects of NIS+. Neither its strings nor its arrays have a maximum.

use xdr_core::{Bytes, UChar, Xdr, XdrString};

use crate::{Twin, twin};

pub(crate) fn twins() -> Vec<Twin> {
    vec![
        twin::<Attribute>("nis_attr"),
        twin::<Name>("nis_name"),
        twin::<Kind>("zotypes"),
        twin::<NameService>("nstype"),
        twin::<RightsMask>("oar_mask"),
        twin::<Endpoint>("endpoint"),
        twin::<Server>("nis_server"),
        twin::<Directory>("directory_obj"),
        twin::<EntryColumn>("entry_col"),
        twin::<Entry>("entry_obj"),
        twin::<Group>("group_obj"),
        twin::<Link>("link_obj"),
        twin::<TableColumn>("table_col"),
        twin::<Table>("table_obj"),
        twin::<Data>("objdata"),
        twin::<Identity>("nis_oid"),
        twin::<Object>("nis_object"),
    ]
}

/// `nis_name`
#[derive(Xdr)]
#[xdr(transparent)]
pub(crate) struct Name(#[xdr(unbounded)] XdrString);

/// `netobj`, which libtirpc defines.
type NetObject = Bytes;
const NET_OBJECT: usize = 1024;

/// `nis_attr`
#[derive(Xdr)]
pub(crate) struct Attribute {
    #[xdr(unbounded)]
    index: XdrString,
    #[xdr(unbounded)]
    value: Vec<u8>,
}

/// `zotypes`, in which each value has two names.
#[derive(Clone, Copy, PartialEq, Eq, Xdr)]
pub(crate) enum Kind {
    Bogus = 0,
    No = 1,
    Directory = 2,
    Group = 3,
    Table = 4,
    Entry = 5,
    Link = 6,
    Private = 7,
}

/// The second names, which are labels as well as the first.
impl Kind {
    const NIS_ENTRY: Self = Self::Entry;
    const NIS_LINK: Self = Self::Link;
    const NIS_PRIVATE: Self = Self::Private;
}

/// `nstype`
#[derive(Clone, Copy, Xdr)]
pub(crate) enum NameService {
    Unknown,
    Nis,
    SunYp,
    Ivy,
    Dns,
    X500,
    Dnans,
    Xchs,
    Cds,
}

/// `oar_mask`
#[derive(Xdr)]
pub(crate) struct RightsMask {
    rights: u32,
    kind: Kind,
}

/// `endpoint`, as text.
#[derive(Xdr)]
pub(crate) struct Endpoint {
    #[xdr(unbounded)]
    address: String,
    #[xdr(unbounded)]
    family: Box<str>,
    #[xdr(unbounded)]
    protocol: String,
}

/// `nis_server`
#[derive(Xdr)]
pub(crate) struct Server {
    name: Name,
    #[xdr(unbounded)]
    endpoints: Vec<Endpoint>,
    key_type: u32,
    #[xdr(max = NET_OBJECT)]
    public_key: NetObject,
}

/// `directory_obj`
#[derive(Xdr)]
pub(crate) struct Directory {
    name: Name,
    service: NameService,
    #[xdr(unbounded)]
    servers: Vec<Server>,
    time_to_live: u32,
    #[xdr(unbounded)]
    rights: Vec<RightsMask>,
}

/// `entry_col`
#[derive(Xdr)]
pub(crate) struct EntryColumn {
    flags: u32,
    #[xdr(unbounded)]
    value: Bytes,
}

/// `entry_obj`
#[derive(Xdr)]
pub(crate) struct Entry {
    #[xdr(unbounded)]
    kind: XdrString,
    #[xdr(unbounded)]
    columns: Vec<EntryColumn>,
}

/// `group_obj`
#[derive(Xdr)]
pub(crate) struct Group {
    flags: u32,
    #[xdr(unbounded, item(unbounded))]
    members: Vec<XdrString>,
}

/// `link_obj`
#[derive(Xdr)]
pub(crate) struct Link {
    kind: Kind,
    #[xdr(unbounded)]
    attributes: Vec<Attribute>,
    name: Name,
}

/// `table_col`
#[derive(Xdr)]
pub(crate) struct TableColumn {
    #[xdr(max = 64)]
    name: XdrString,
    flags: u32,
    rights: u32,
}

/// `table_obj`, with a `u_char`.
#[derive(Xdr)]
pub(crate) struct Table {
    #[xdr(max = 64)]
    kind: XdrString,
    max_columns: i32,
    separator: UChar,
    #[xdr(unbounded)]
    columns: Vec<TableColumn>,
    #[xdr(unbounded)]
    path: XdrString,
}

/// `objdata`, with a `default` beside labels that are void as well.
#[derive(Xdr)]
#[xdr(switch = Kind)]
pub(crate) enum Data {
    #[xdr(case = Kind::Directory)]
    Directory(Directory),
    #[xdr(case = Kind::Group)]
    Group(Group),
    #[xdr(case = Kind::Table)]
    Table(Table),
    #[xdr(case = Kind::NIS_ENTRY)]
    Entry(Entry),
    #[xdr(case = Kind::NIS_LINK)]
    Link(Link),
    #[xdr(case = Kind::NIS_PRIVATE)]
    Private(#[xdr(unbounded)] Vec<u8>),
    #[xdr(default)]
    Nothing(#[xdr(tag)] Kind),
}

/// `nis_oid`
#[derive(Xdr)]
pub(crate) struct Identity {
    created: u32,
    modified: u32,
}

/// `nis_object`
#[derive(Xdr)]
pub(crate) struct Object {
    identity: Identity,
    name: Name,
    owner: Name,
    group: Name,
    domain: Name,
    access: u32,
    time_to_live: u32,
    data: Data,
}
