//! The bytes of every message of rpcbind, as RFC 1833 has them.

mod wire;

use std::fmt::Debug;

use rpc_frame::rpcbind::version2::{CallResult, Mapping, MappingList, Portmap};
use rpc_frame::rpcbind::version3::Rpcb3;
use rpc_frame::rpcbind::version4::Rpcb4;
use rpc_frame::rpcbind::{
    AddressCount, CallCount, CallitArgs, CallitResult, MAX_ADDRESS, MAX_CALL, MAX_LIST, MAX_NETBUF, MAX_NETID,
    MAX_OWNER, Netbuf, PROGRAM, Rpcb, RpcbEntry, RpcbEntryList, RpcbList, RpcbStat, RpcbStatByVersion, Uaddr,
};
use rpc_frame::xdr::{Bytes, DecodeOwned, Encode, from_slice, to_vec};
use rpc_frame::{ProcedureInfo, ProcedureTable};
use wire::{hex, opaque, words};

/// Both ways between a value and its bytes.
fn both_ways<T: Encode + DecodeOwned + Debug + PartialEq>(value: &T, parts: &[Vec<u8>]) {
    let bytes = parts.concat();
    assert_eq!(hex(&to_vec(value).unwrap()), hex(&bytes));
    assert_eq!(&from_slice::<T>(&bytes).unwrap(), value);
}

fn rpcb() -> Rpcb {
    Rpcb {
        program: 0x2000_0042,
        version: 3,
        netid: "tcp6".into(),
        address: "::1.8.1".into(),
        owner: "superuser".into(),
    }
}

/// 20 00 00 42 | 3 | 4 "tcp6" | 7 "::1.8.1" 0 | 9 "superuser" 0 0 0
const RPCB: &[u8] = b"\x20\0\0\x42\0\0\0\x03\0\0\0\x04tcp6\0\0\0\x07::1.8.1\0\0\0\0\x09superuser\0\0\0";

#[test]
fn a_mapping_is_four_words() {
    let mapping = Mapping { program: 100_003, version: 3, protocol: 6, port: 2049 };
    both_ways(&mapping, &[b"\0\x01\x86\xa3\0\0\0\x03\0\0\0\x06\0\0\x08\x01".to_vec()]);
}

#[test]
fn a_registration_is_two_words_and_three_strings() {
    both_ways(&rpcb(), &[RPCB.to_vec()]);
    both_ways(&Rpcb::default(), &[words(&[0; 5])]);
}

#[test]
fn lists_say_before_each_entry_that_it_follows_and_at_the_end_that_none_does() {
    let mapping = |port| Mapping { program: 1, version: 2, protocol: 17, port };
    let two = MappingList { entries: vec![mapping(7), mapping(8)] };
    both_ways(&two, &[words(&[1, 1, 2, 17, 7, 1, 1, 2, 17, 8, 0])]);
    both_ways(&MappingList::default(), &[words(&[0])]);
    let one = RpcbList { entries: vec![rpcb()] };
    both_ways(&one, &[words(&[1]), RPCB.to_vec(), words(&[0])]);
    both_ways(&RpcbList::default(), &[words(&[0])]);
}

#[test]
fn an_address_alone_is_a_string() {
    both_ways(&Uaddr("127.0.0.1.0.111".into()), &[opaque(b"127.0.0.1.0.111")]);
    both_ways(&Uaddr::default(), &[words(&[0])]);
}

#[test]
fn a_socket_address_is_opaque_behind_its_room() {
    let netbuf = Netbuf { max_len: 16, bytes: Bytes::from_static(b"\x02\0\x08\x01\x7f") };
    both_ways(&netbuf, &[words(&[16]), opaque(b"\x02\0\x08\x01\x7f")]);
}

#[test]
fn a_call_through_rpcbind_carries_encoded_arguments_and_results() {
    let args = CallitArgs { program: 1, version: 2, procedure: 3, args: Bytes::from_static(b"\0\0\0\x09") };
    both_ways(&args, &[words(&[1, 2, 3, 4, 9])]);
    let result = CallitResult { address: "/x".into(), results: Bytes::from_static(b"\0\0\0\x09") };
    both_ways(&result, &[opaque(b"/x"), words(&[4, 9])]);
    let result = CallResult { port: 2049, results: Bytes::from_static(b"\0\0\0\x09") };
    both_ways(&result, &[words(&[2049, 4, 9])]);
}

#[test]
fn the_addresses_of_a_program_are_a_list_of_entries() {
    let entry = RpcbEntry {
        address: "10.0.0.1.8.1".into(),
        netid: "tcp".into(),
        semantics: 3,
        protocol_family: "inet".into(),
        protocol: "tcp".into(),
    };
    let bytes = [opaque(b"10.0.0.1.8.1"), opaque(b"tcp"), words(&[3]), opaque(b"inet"), opaque(b"tcp")].concat();
    both_ways(&entry, std::slice::from_ref(&bytes));
    let list = RpcbEntryList { entries: vec![entry.clone(), entry] };
    both_ways(&list, &[words(&[1]), bytes.clone(), words(&[1]), bytes, words(&[0])]);
}

#[test]
fn statistics_are_three_times_the_counts_and_two_lists() {
    let address = AddressCount { program: 1, version: 2, success: 3, failure: -1, netid: "udp".into() };
    let call =
        CallCount { program: 1, version: 2, procedure: 3, success: 4, failure: 5, indirect: 6, netid: "local".into() };
    let stat = RpcbStat {
        calls: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
        sets: 20,
        unsets: 21,
        addresses: vec![address],
        callits: vec![call],
    };
    let bytes = [
        words(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 20, 21]),
        words(&[1, 1, 2, 3, 0xffff_ffff]),
        opaque(b"udp"),
        words(&[0]),
        words(&[1, 1, 2, 3, 4, 5, 6]),
        opaque(b"local"),
        words(&[0]),
    ];
    both_ways(&stat, &bytes);
    let nothing = words(&[0; 17]);
    let three = RpcbStatByVersion([RpcbStat::default(), stat, RpcbStat::default()]);
    both_ways(&three, &[nothing.clone(), bytes.concat(), nothing]);
}

#[test]
fn the_tables_are_those_of_the_rfc() {
    fn lines(procedures: &[ProcedureInfo]) -> Vec<(u32, &str)> {
        procedures.iter().map(|line| (line.number, line.name)).collect()
    }
    assert_eq!((Portmap::PROGRAM, Portmap::VERSION), (PROGRAM, 2));
    assert_eq!((Rpcb3::PROGRAM, Rpcb3::VERSION), (100_000, 3));
    assert_eq!((Rpcb4::PROGRAM, Rpcb4::VERSION), (100_000, 4));
    assert_eq!(lines(Portmap::PROCEDURES), [(1, "Set"), (2, "Unset"), (3, "GetPort"), (4, "Dump"), (5, "Callit")]);
    let shared = [(1, "Set"), (2, "Unset"), (3, "GetAddr"), (4, "Dump"), (6, "GetTime"), (7, "Uaddr2Taddr")];
    let third = lines(Rpcb3::PROCEDURES);
    let fourth = lines(Rpcb4::PROCEDURES);
    for line in shared.iter().chain(&[(8, "Taddr2Uaddr")]) {
        assert!(third.contains(line) && fourth.contains(line), "{line:?}");
    }
    assert_eq!((third.len(), third[4]), (8, (5, "Callit")));
    assert_eq!((fourth.len(), fourth[4]), (12, (5, "Bcast")));
    assert_eq!(fourth[8..], [(9, "GetVersAddr"), (10, "Indirect"), (11, "GetAddrList"), (12, "GetStat")]);
}

#[test]
fn every_bound_holds_what_it_says_and_not_a_byte_more() {
    fn fits<T: Encode>(max: usize, value: impl Fn(usize) -> T) {
        to_vec(&value(max)).unwrap();
        to_vec(&value(max + 1)).unwrap_err();
    }
    let text = |len: usize| "x".repeat(len).into();
    let bytes = |len: usize| Bytes::from(vec![0; len]);
    fits(MAX_NETID, |len| Rpcb { netid: text(len), ..Rpcb::default() });
    fits(MAX_ADDRESS, |len| Rpcb { address: text(len), ..Rpcb::default() });
    fits(MAX_OWNER, |len| Rpcb { owner: text(len), ..Rpcb::default() });
    fits(MAX_ADDRESS, |len| Uaddr(text(len)));
    fits(MAX_NETBUF, |len| Netbuf { max_len: 0, bytes: bytes(len) });
    fits(MAX_CALL, |len| CallitArgs { args: bytes(len), ..CallitArgs::default() });
    fits(MAX_CALL, |len| CallitResult { results: bytes(len), ..CallitResult::default() });
    fits(MAX_CALL, |len| CallResult { port: 0, results: bytes(len) });
    fits(MAX_ADDRESS, |len| CallitResult { address: text(len), ..CallitResult::default() });
    fits(MAX_LIST, |len| MappingList { entries: vec![Mapping::default(); len] });
    fits(MAX_LIST, |len| RpcbList { entries: vec![Rpcb::default(); len] });
    fits(MAX_LIST, |len| RpcbEntryList { entries: vec![RpcbEntry::default(); len] });
}
