//! What comes over the socket and is no call: the connection ends, the daemon does not.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;

use crate::processes::{Ctl, Guestd, PATIENCE};

fn connect(daemon: &Guestd) -> UnixStream {
    let stream = UnixStream::connect(daemon.socket()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends this and reads until the daemon closes the connection.
fn until_closed(daemon: &Guestd, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(daemon);
    // The daemon may have seen enough before all is sent, and then the end may come as a reset.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => answer,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => answer,
        Err(error) => panic!("the connection is still open: {error}"),
    }
}

/// The message of a call with these words behind its xid and type, in a record of its own.
fn call(xid: u32, words: &[u32], args: &[u8]) -> Vec<u8> {
    let words = [&[xid, 0], words].concat();
    let message = [words.iter().flat_map(|word| word.to_be_bytes()).collect(), args.to_vec()].concat();
    let mark = u32::try_from(message.len()).unwrap() | 0x8000_0000;
    [&mark.to_be_bytes(), &message[..]].concat()
}

fn guest_call(xid: u32, procedure: u32, args: &[u8]) -> Vec<u8> {
    call(xid, &[2, 0x2000_1a64, 1, procedure, 0, 0, 0, 0], args)
}

fn answers(daemon: &Guestd) {
    assert_eq!(Ctl::new(daemon.uri()).text(&["domstate", "test"]), "running\n");
}

/// Beginnings of conversations in other languages, and broken ones in this.
fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    let mut hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    hello.resize(517, 0x55);
    vec![
        ("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("TLS", hello),
        ("SSH", b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()),
        ("a fragment of 2 GiB that is the last", vec![0xff; 4]),
        ("a fragment of 2 GiB that is not", vec![0x7f, 0xff, 0xff, 0xff]),
        ("a fragment just above the longest", 0x8010_0001_u32.to_be_bytes().to_vec()),
        ("two fragments that are too long together", [&[0, 8, 0, 0][..], &vec![0; 0x8_0000], &[0, 8, 0, 1]].concat()),
        ("endless empty fragments", vec![0; 4096]),
        ("an empty record", 0x8000_0000_u32.to_be_bytes().to_vec()),
        ("a record too short for an xid", vec![0x80, 0, 0, 4, 1, 2, 3, 4]),
        ("neither call nor reply", vec![0x80, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 9]),
        ("a reply to a call that was never made", reply(1, 0)),
    ]
}

#[test]
fn what_is_no_rpc_ends_the_connection_without_an_answer() {
    let daemon = Guestd::start(&[]);
    for (what, bytes) in garbage() {
        assert_eq!(until_closed(&daemon, &bytes), b"", "{what}");
        answers(&daemon);
    }
}

#[test]
fn calls_before_the_garbage_are_answered() {
    let daemon = Guestd::start(&[]);
    let mut stream = connect(&daemon);
    stream.write_all(&guest_call(6, 0, &[])).unwrap();
    let mut answer = [0; 28];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..], reply(6, 0));
    stream.write_all(&[0xff; 64]).unwrap();
    assert!(matches!(stream.read(&mut answer), Ok(0) | Err(_)));
    answers(&daemon);
}

/// An accepted reply without results, in its record.
fn reply(xid: u32, status: u32) -> Vec<u8> {
    [0x8000_0018, xid, 1, 0, 0, 0, status].iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[test]
fn calls_that_cannot_be_understood_are_answered_and_the_connection_goes_on() {
    let daemon = Guestd::start(&[]);
    let mut stream = connect(&daemon);
    for (wire, status) in [
        (guest_call(1, 5, &[0xff; 64]), 4),
        (guest_call(2, 5, &[0xff; 4]), 4),
        (guest_call(3, 4711, &[]), 3),
        (call(4, &[2, 0x2000_1a66, 1, 1, 0, 0, 0, 0], &[]), 1),
        (guest_call(5, 0, &[]), 0),
    ] {
        stream.write_all(&wire).unwrap();
        let mut answer = [0; 28];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[..], reply(u32::from(wire[7]), status));
    }
}

#[test]
fn who_claims_to_be_root_by_tcp_changes_nothing_and_the_log_has_it_as_a_claim() {
    let mut daemon = Guestd::start(&["--tcp", "127.0.0.1:0"]);
    let line = daemon.line();
    let mut stream = TcpStream::connect(line.strip_prefix("listening tcp ").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // AUTH_SYS: stamp, a machine's name of four letters, uid 0, gid 0, no further groups.
    let claim = [1, 24, 0, 4, u32::from_be_bytes(*b"host"), 0, 0, 0];
    let suspend = [&[2, 0x2000_1a64, 1, 9][..], &claim, &[0, 0]].concat();
    stream.write_all(&call(7, &suspend, &1_u32.to_be_bytes())).unwrap();
    let mut answer = [0; 36];
    stream.read_exact(&mut answer).unwrap();
    // Accepted, and OperationDenied.
    assert_eq!((&answer[4..28], &answer[28..]), (&reply(7, 0)[4..], &[0, 0, 0, 1, 0, 0, 0, 29][..]));
    answers(&daemon);
    daemon.signal("TERM");
    let (_, log) = daemon.ended();
    assert!(log.contains("procedure=\"DomainSuspend\" xid=7 caller=claims uid 0, gid 0"), "{log}");
}

#[test]
fn half_a_record_and_then_silence_keeps_nobody_else_waiting() {
    let daemon = Guestd::start(&[]);
    let wire = guest_call(9, 0, &[]);
    let mut silent: Vec<UnixStream> = (0..20).map(|_| connect(&daemon)).collect();
    for (stream, sent) in silent.iter_mut().zip(1..) {
        stream.write_all(&wire[..sent]).unwrap();
    }
    for _ in 0..3 {
        answers(&daemon);
    }
    // And none of them was forgotten.
    for (mut stream, sent) in silent.into_iter().zip(1..) {
        stream.write_all(&wire[sent..]).unwrap();
        let mut answer = [0; 28];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[..], reply(9, 0));
    }
}

#[test]
fn half_a_record_and_then_the_end_closes_the_connection() {
    let daemon = Guestd::start(&[]);
    let wire = guest_call(9, 5, &[0; 64]);
    for sent in 1..wire.len() {
        let mut stream = connect(&daemon);
        stream.write_all(&wire[..sent]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "after {sent} bytes");
    }
    answers(&daemon);
}

/// Memory of the daemon that is really there, in KiB.
const RESIDENT: &str = "VmRSS:";
/// Memory that it has asked for, in KiB, whether it has been touched or not.
const RESERVED: &str = "VmData:";

fn memory(daemon: &Guestd, kind: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(kind)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

#[test]
fn five_hundred_garbage_connections_leave_the_daemons_memory_as_it_was() {
    const MARGIN: u64 = 2048;
    let daemon = Guestd::start(&[]);
    let mut garbage: Vec<Vec<u8>> = garbage().into_iter().map(|(_, bytes)| bytes).collect();
    // Half a megabyte of the longest record, and a call whose argument says it had 4 GiB, with the end after it.
    garbage.push([&[0x80, 0x10, 0, 0][..], &vec![0x41; 0x8_0000]].concat());
    garbage.push(guest_call(1, 5, &[0xff; 4]));
    let play = |count| {
        for bytes in garbage.iter().cycle().take(count) {
            let mut stream = connect(&daemon);
            let _ = stream.write_all(bytes);
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    };
    // The allocator takes what it needs for such traffic once.
    play(garbage.len() * 10);
    let before = memory(&daemon, RESIDENT);
    play(500);
    let after = memory(&daemon, RESIDENT);
    println!("{before} KiB before, {after} KiB after 500 garbage connections");
    assert!(after <= before + MARGIN, "{before} KiB before, {after} KiB after");
    answers(&daemon);
}

#[test]
fn records_that_are_announced_and_do_not_come_cost_no_memory() {
    const CONNECTIONS: u64 = 200;
    const EACH: u64 = 64;
    const MARGIN: u64 = 2048;
    let daemon = Guestd::start(&[]);
    answers(&daemon);
    let before = memory(&daemon, RESERVED);
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        // A record of the greatest length that is allowed, and an argument of the greatest length, of which
        // nothing comes.
        let mut stream = connect(&daemon);
        stream.write_all(&[0x80, 0x04, 0x80, 0]).unwrap();
        stream.write_all(&guest_call(1, 5, &[0xff; 4])[4..]).unwrap();
        held.push(stream);
    }
    answers(&daemon);
    let after = memory(&daemon, RESERVED);
    println!("{before} KiB before, {after} KiB with {CONNECTIONS} records announced");
    // Each connection has its own small buffers, and no room for the MiB that was announced.
    assert!(after <= before + CONNECTIONS * EACH + MARGIN, "{before} KiB before, {after} KiB after");
}
