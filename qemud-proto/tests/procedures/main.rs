//! Every procedure of the protocol over the wire: what it does, and each failure that it has.
//!
//! - `wire`: a client that keeps account of how each procedure ended
//! - `host`, `domains`, `running`, `screens`, `saving`, `networks`: what the procedures do
//! - below: that no procedure and no failure was left out, against the protocol's own table

#![cfg(feature = "programs")]

mod domains;
#[path = "../every_call/mod.rs"]
mod every_call;
mod host;
mod networks;
mod running;
mod saving;
mod screens;
mod wire;

use std::collections::BTreeSet;

use qemud_proto::failure::Code::{self, *};
use qemud_proto::messages::{GUEST, Guest};
use rpc_frame::ProcedureTable;

/// A line of the protocol's table: number, name, whether it is read-only, its failures. [`Code::NoSupport`]
/// goes without saying: every procedure of a driver can be left out, and `Negotiate` answers it as well.
type Line = (u32, &'static str, bool, &'static [Code]);

/// Allowed on a read-only channel.
const RO: bool = true;
/// Not allowed there.
const RW: bool = false;

/// The table of the protocol as it was agreed upon, written out by hand.
const TABLE: [Line; 45] = [
    (1, "GetVersion", RO, &[]),
    (2, "GetNodeInfo", RO, &[]),
    (3, "ListDomains", RO, &[]),
    (4, "NumDomains", RO, &[]),
    (5, "DomainCreate", RW, &[XmlError, OsType, DomExist, OperationInvalid, OperationFailed]),
    (6, "DomainLookupById", RO, &[NoDomain]),
    (7, "DomainLookupByUuid", RO, &[NoDomain]),
    (8, "DomainLookupByName", RO, &[NoDomain]),
    (9, "DomainSuspend", RW, &[InvalidDomain]),
    (10, "DomainResume", RW, &[InvalidDomain]),
    (11, "DomainDestroy", RW, &[InvalidDomain]),
    (12, "DomainGetInfo", RO, &[NoDomain]),
    (13, "DomainSave", RW, &[InvalidDomain, InvalidArg, SystemError]),
    (14, "DomainRestore", RW, &[InvalidArg, SystemError, OperationFailed, OperationInvalid, DomExist]),
    (15, "DomainDumpXml", RO, &[NoDomain]),
    (16, "ListDefinedDomains", RO, &[]),
    (17, "NumDefinedDomains", RO, &[]),
    (18, "DomainStart", RW, &[NoDomain, OperationInvalid, OperationFailed]),
    (19, "DomainDefine", RW, &[XmlError, OsType, DomExist, OperationFailed]),
    (20, "DomainUndefine", RW, &[NoDomain, OperationInvalid]),
    (21, "NumNetworks", RO, &[]),
    (22, "ListNetworks", RO, &[]),
    (23, "NumDefinedNetworks", RO, &[]),
    (24, "ListDefinedNetworks", RO, &[]),
    (25, "NetworkLookupByUuid", RO, &[NoNetwork]),
    (26, "NetworkLookupByName", RO, &[NoNetwork]),
    (27, "NetworkCreate", RW, &[XmlError, NetworkExist, OperationInvalid, OperationFailed]),
    (28, "NetworkDefine", RW, &[XmlError, NetworkExist, OperationFailed]),
    (29, "NetworkUndefine", RW, &[NoNetwork, OperationInvalid]),
    (30, "NetworkStart", RW, &[NoNetwork, OperationInvalid, OperationFailed]),
    (31, "NetworkDestroy", RW, &[NoNetwork, OperationInvalid]),
    (32, "NetworkDumpXml", RO, &[NoNetwork]),
    (33, "NetworkGetBridgeName", RO, &[NoNetwork]),
    (34, "DomainGetAutostart", RO, &[NoDomain]),
    (35, "DomainSetAutostart", RW, &[NoDomain, OperationInvalid]),
    (36, "NetworkGetAutostart", RO, &[NoNetwork]),
    (37, "NetworkSetAutostart", RW, &[NoNetwork, OperationInvalid]),
    (38, "GetCapabilities", RO, &[]),
    (39, "Negotiate", RO, &[]),
    (40, "Open", RO, &[NoConnect, InvalidArg, OperationInvalid]),
    (41, "DomainEvents", RO, &[]),
    (42, "DomainShutdown", RW, &[InvalidDomain]),
    (43, "DomainScreenshot", RW, &[InvalidDomain, OperationFailed]),
    (44, "StreamRead", RW, &[InvalidArg]),
    (45, "DomainGetJobInfo", RO, &[NoDomain]),
];

#[test]
fn numbers_names_and_read_only_flags_are_those_of_the_protocol() {
    assert_eq!((Guest::PROGRAM, Guest::VERSION), (0x2000_1A64, 1));
    let described = TABLE.map(|(number, name, read_only, _)| (number, name, read_only));
    let built: Vec<_> = Guest::PROCEDURES.iter().map(|line| (line.number, line.name, line.read_only)).collect();
    assert_eq!(built, described);
}

#[test]
fn every_procedure_but_the_last_six_is_there_from_the_first_minor_version_for_everyone() {
    for line in Guest::PROCEDURES {
        let flags = (line.program, line.version, line.since, line.until, line.auth, line.oneway);
        assert_eq!(flags, (GUEST, 1, u32::from(line.number > 39), None, false, false), "{}", line.name);
        assert!(
            line.idempotent || !line.read_only || line.name == "Open",
            "{} reads and could not be repeated",
            line.name
        );
    }
}

#[tokio::test]
async fn each_procedure_has_been_seen_to_succeed_and_to_fail_in_each_of_its_ways() {
    let mut seen = BTreeSet::new();
    for endings in [
        host::endings().await,
        domains::endings().await,
        running::endings().await,
        screens::endings().await,
        saving::endings().await,
        networks::endings().await,
    ] {
        seen.extend(endings.into_iter().map(|(name, code)| (name, code.map(Code::number))));
    }
    let mut described = BTreeSet::new();
    for (_, name, _, failures) in TABLE {
        // No driver takes part in the opening of another, or in what the daemon keeps of a picture.
        let unsupported = (!["Open", "StreamRead"].contains(&name)).then_some(&NoSupport);
        let failures = failures.iter().chain(unsupported).map(|code| Some(code.number()));
        described.extend([None].into_iter().chain(failures).map(|ending| (name, ending)));
    }
    let untested: Vec<_> = described.difference(&seen).collect();
    assert!(untested.is_empty(), "no test shows these endings: {untested:?}");
    let undescribed: Vec<_> = seen.difference(&described).collect();
    assert!(undescribed.is_empty(), "the protocol does not describe these endings: {undescribed:?}");
    let tested: BTreeSet<_> = seen.iter().map(|(name, _)| *name).collect();
    assert_eq!(tested, Guest::PROCEDURES.iter().map(|line| line.name).collect());
}
