//! tshark dissects what we send: the traffic of the example `tour`, from the capture file that it writes.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use qemud_proto::messages::{GUEST, Guest};
use rpc_frame::ProcedureTable;
use xdr_tests::foreign_tool::require;

/// A message as tshark sees it.
#[derive(Debug)]
struct Dissected {
    frame: String,
    xid: String,
    is_call: bool,
    program: String,
    version: String,
    procedure: u32,
    replystat: String,
    accepted: String,
    /// A reply's call.
    call_frame: String,
    wrong: String,
}

/// The columns, in the order of `Dissected`. The last ones are empty where nothing is wrong.
const FIELDS: [&str; 12] = [
    "frame.number",
    "rpc.xid",
    "rpc.msgtyp",
    "rpc.program",
    "rpc.programversion",
    "rpc.procedure",
    "rpc.replystat",
    "rpc.state_accept",
    "rpc.repframe",
    "rpc.continuation_data",
    "_ws.malformed",
    "_ws.expert.message",
];

fn dissect(tshark: &Path, capture: &Path, filter: &str) -> Vec<Dissected> {
    let mut command = Command::new(tshark);
    command.arg("-r").arg(capture).args(["-o", "rpc.dissect_unknown_programs:TRUE", "-d", "tcp.port==16509,rpc"]);
    command.args(["-Y", filter, "-T", "fields", "-E", "separator=|", "-E", "occurrence=f"]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let columns: Vec<&str> = line.split('|').collect();
        let column = |index: usize| columns.get(index).copied().unwrap_or_default().to_owned();
        Dissected {
            frame: column(0),
            xid: column(1),
            is_call: column(2) == "0",
            program: column(3),
            version: column(4),
            procedure: column(5).parse().unwrap_or(u32::MAX),
            replystat: column(6),
            accepted: column(7),
            call_frame: column(8),
            wrong: columns.get(9..).unwrap_or_default().concat(),
        }
    };
    text.lines().map(line).collect()
}

#[test]
fn tshark_dissects_every_message_of_the_tour() {
    let Some(tshark) = require("tshark") else { return };
    let capture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tour.pcap");
    let tour = Command::new(env!("CARGO"))
        .args(["run", "-q", "-p", "qemud-proto", "--example", "tour", "--", "--capture"])
        .arg(&capture)
        .output()
        .unwrap();
    assert!(tour.status.success(), "{}", String::from_utf8_lossy(&tour.stderr));
    let printed = String::from_utf8(tour.stdout).unwrap();

    let messages = dissect(&tshark, &capture, "rpc.msgtyp");
    let (calls, replies): (Vec<_>, Vec<_>) = messages.iter().partition(|message| message.is_call);
    // Each call's line begins with its xid and its procedure's name.
    let lines: Vec<(&str, &str)> = printed
        .lines()
        .filter(|line| line.starts_with("0x"))
        .map(|line| {
            let mut words = line.split_whitespace();
            (words.next().unwrap(), words.next().unwrap())
        })
        .collect();
    assert!(lines.len() >= 10, "{printed}");
    assert_eq!(calls.len(), lines.len(), "{messages:#?}");
    assert_eq!(replies.len(), calls.len(), "{messages:#?}");

    let by_frame: HashMap<&str, &Dissected> = calls.iter().map(|call| (call.frame.as_str(), *call)).collect();
    for (call, (xid, name)) in calls.iter().zip(&lines) {
        let number = Guest::PROCEDURES.iter().find(|procedure| procedure.name == *name).unwrap().number;
        assert_eq!(call.xid, *xid);
        assert_eq!(call.program, GUEST.to_string());
        assert_eq!(call.version, "1");
        assert_eq!(call.procedure, number);
    }
    for reply in &replies {
        let call = by_frame.get(reply.call_frame.as_str()).unwrap_or_else(|| panic!("no call for {reply:?}"));
        assert_eq!((&reply.xid, reply.procedure), (&call.xid, call.procedure));
        assert_eq!((reply.replystat.as_str(), reply.accepted.as_str()), ("0", "0"), "{reply:?}");
    }
    for message in &messages {
        assert_eq!(message.wrong, "", "{message:?}");
    }
    // Every packet is dissected as RPC: nothing is left over.
    let others = dissect(&tshark, &capture, "tcp.len > 0 && !rpc.msgtyp");
    assert!(others.is_empty(), "{others:#?}");
}
