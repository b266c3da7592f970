//! Any datagrams from anybody at any time: a server answers nobody who did not call and nothing twice, a client's calls
//! end exactly once, and neither keeps more than it may.
//!
//! The first byte chooses server or client; what follows is a script: a byte for what happens, and what belongs to it.
#![no_main]

use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use rpc_frame::xdr::{Bytes, decode_prefix};
use rpc_frame::{
    AcceptStatus, Answer, DatagramCall, DatagramClient, DatagramClientConfig, DatagramServer, DatagramServerConfig,
    Event, Malformed, Message, MessageBody, Outcome, OutgoingCall, Peer, Programs, Rules, Session, Transmit, check,
};
use xdr_fuzz::script::Script;
use xdr_fuzz::served::{Blob, PROGRAM, programs};
use xdr_fuzz::stream::{call, words};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const MAX_DATAGRAM: usize = 200;
const STEPS: usize = 512;

/// What a server may hold within its caps, and a client for each call: the datagram, and places in maps and queues.
const MOST_HELD: usize = 16 * 1024;
const MOST_PER_CALL: usize = MAX_DATAGRAM + 800;

fuzz_target!(|input: &[u8]| {
    let mut script = Script(input);
    if script.byte() & 1 == 0 { server(script, &programs()) } else { client(script) }
});

/// Addresses that differ in one thing each: the form of IPv4, the host, the port, the scope, the label of the flow.
fn address(choice: u8) -> SocketAddr {
    let [one, two] = [1, 2].map(|host| [192, 0, 2, host]);
    let link = |label, scope| SocketAddrV6::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1), 700, label, scope).into();
    match choice % 8 {
        0 => (one, 700).into(),
        1 => (std::net::Ipv4Addr::from(one).to_ipv6_mapped(), 700).into(),
        2 => (two, 700).into(),
        3 => (one, 701).into(),
        4 => link(0, 2),
        5 => link(5, 2),
        6 => link(0, 3),
        _ => (one, 0).into(),
    }
}

/// Whether two of the addresses are one for a client.
fn is_one(a: SocketAddr, b: SocketAddr) -> bool {
    let scope = |address| if let SocketAddr::V6(address) = address { address.scope_id() } else { 0 };
    (a.ip().to_canonical(), a.port(), scope(a)) == (b.ip().to_canonical(), b.port(), scope(b))
}

fn server(mut script: Script<'_>, programs: &impl Programs) {
    let mut config = DatagramServerConfig::default();
    config.max_datagram = MAX_DATAGRAM;
    config.max_calls_in_flight = 3;
    config.max_unsent = 1024;
    config.max_kept = 4;
    config.max_kept_bytes = 1024;
    // Hashes that are the same in every run.
    let mut server = DatagramServer::with_hasher(config.clone(), BuildHasherDefault::<DefaultHasher>::default());
    let (rules, session) = (Rules::default(), Arc::new(Session::new(Peer::Unknown)));
    let mut held: Vec<(DatagramCall, Vec<u8>, bool)> = Vec::with_capacity(config.max_calls_in_flight);
    // Who has called with which xid, once for each reply that this may still bring.
    let mut callers: Vec<(SocketAddr, u32)> = Vec::with_capacity(2 * STEPS);
    let (mut now, mut last) = (Duration::ZERO, (address(0), Vec::with_capacity(MAX_DATAGRAM * 2)));
    let before = ALLOCATED.current_usage();
    for _ in 0..STEPS {
        let Some(step) = script.next_byte() else { break };
        let mut arrives = true;
        match step % 8 {
            0 => last = (address(script.byte()), script.piece().to_vec()),
            1 | 2 => {
                let (from, xid, choice) = (address(script.byte()), script.byte(), script.byte());
                let numbers = [xid.into(), PROGRAM, u32::from(choice >> 3), u32::from(choice & 7)];
                last = (from, call(numbers, 0, &[], script.piece()));
            }
            // The same again, perhaps from elsewhere.
            3 => last.0 = address(script.byte()),
            4 => {}
            step => {
                arrives = false;
                match step {
                    5 => {
                        now += script.delay();
                        server.handle_time(now);
                        assert!(server.next_timeout().is_none_or(|at| at > now), "due again at once, for ever");
                    }
                    6 if !held.is_empty() => {
                        let which = usize::from(script.byte()) % held.len();
                        let (call, datagram, forgotten) = held.swap_remove(which);
                        answer(&mut server, now, &call, script.byte());
                        if !forgotten {
                            let again = server.handle_datagram(now, call.id.peer(), &datagram);
                            assert_eq!(again, None, "a call that was answered just now is executed again");
                            callers.push((call.id.peer(), call.id.xid()));
                        }
                    }
                    _ => send_all(&mut server, &mut callers),
                }
            }
        }
        if arrives {
            let (from, datagram) = &last;
            let in_progress = held
                .iter()
                .any(|(call, of, forgotten)| !forgotten && of == datagram && unlabelled(*from) == call.id.peer());
            if let Some(xid) = datagram.first_chunk() {
                callers.push((unlabelled(*from), u32::from_be_bytes(*xid)));
            }
            if let Some(call) = server.handle_datagram(now, *from, datagram) {
                assert!(!in_progress, "a call in progress is executed again");
                assert_eq!(Some(&call.call.xid.to_be_bytes()), datagram.first_chunk());
                assert!(matches!(call.call.header, Ok(_) | Err(Malformed::RpcVersion(_))), "{:?}", call.call.header);
                // What reaches no handler, or one that is idempotent, is not kept.
                let reached = matches!(check(programs, &rules, &session, &call.call), Answer::Dispatch(_));
                if !reached {
                    server.forget(&call.id);
                }
                held.push((call, datagram.clone(), !reached));
            }
        }
        assert_eq!(server.in_flight(), held.len());
        assert!(held.len() <= config.max_calls_in_flight && server.kept() <= config.max_kept);
        let used = ALLOCATED.current_usage().saturating_sub(before);
        assert!(used <= MOST_HELD, "{used} bytes are held");
    }
    for (call, _, _) in held.drain(..) {
        answer(&mut server, now, &call, 0);
    }
    send_all(&mut server, &mut callers);
    assert_eq!(server.in_flight(), 0);
    now += config.keep_for;
    server.handle_time(now);
    assert_eq!((server.kept(), server.next_timeout()), (0, None), "kept for ever");
}

fn unlabelled(mut address: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(address) = &mut address {
        address.set_flowinfo(0);
    }
    address
}

type Server = DatagramServer<BuildHasherDefault<DefaultHasher>>;

fn answer(server: &mut Server, now: Duration, call: &DatagramCall, choice: u8) {
    match choice % 4 {
        0 => server.reply(now, &call.id, Outcome::Accepted(AcceptStatus::GarbageArgs)),
        1 => server.leave_unanswered(now, &call.id),
        _ => {
            let results = Bytes::from(vec![0; usize::from(choice) & !3]);
            let written = server.reply_with(now, &call.id, &results);
            assert_eq!(written.is_ok(), 24 + results.len() <= MAX_DATAGRAM);
        }
    }
}

/// Takes all that is to be sent: each is a reply to somebody who called, and no more than one a datagram.
fn send_all(server: &mut Server, callers: &mut Vec<(SocketAddr, u32)>) {
    while let Some(Transmit { to, datagram, .. }) = server.poll_transmit() {
        assert!(datagram.len() <= MAX_DATAGRAM);
        let (message, _) = decode_prefix::<Message>(&datagram).expect("a message");
        assert!(matches!(message.body, MessageBody::Reply(_)), "{message:?}");
        let caller = callers.iter().position(|caller| *caller == (unlabelled(to), message.xid));
        callers.swap_remove(caller.expect("a reply to somebody who did not call, or not so often"));
    }
    assert!(!server.has_unsent());
}

fn client(mut script: Script<'_>) {
    let mut config = DatagramClientConfig::default();
    config.max_datagram = MAX_DATAGRAM;
    config.max_tries = 3;
    config.first_xid = u32::from(script.byte()).wrapping_sub(2);
    let (first_xid, max_tries) = (config.first_xid, config.max_tries);
    let mut client = DatagramClient::new(config);
    let mut now = Duration::ZERO;
    let mut pending: Vec<Pending> = Vec::with_capacity(STEPS);
    // The maps stay as large as they once were.
    let mut most_pending = 0;
    let before = ALLOCATED.current_usage();
    for _ in 0..STEPS {
        let Some(step) = script.next_byte() else { break };
        match step % 8 {
            step @ 0..=1 => {
                let (to, args) = (address(script.byte()), Blob { bytes: script.piece().to_vec() });
                let deadline = (step == 1).then(|| now + script.delay());
                match client.call(now, to, &OutgoingCall::new(PROGRAM, 1, 1), &args, deadline) {
                    Ok(xid) => pending.push(Pending { xid, to, made: now, deadline, tries: 0 }),
                    Err(error) => assert!(44 + args.bytes.len().next_multiple_of(4) > MAX_DATAGRAM, "{error}"),
                }
            }
            2 if !pending.is_empty() => {
                let which = usize::from(script.byte()) % pending.len();
                client.forget(pending.swap_remove(which).xid);
            }
            3 => arrive(&mut client, address(script.byte()), script.piece(), &mut pending),
            4 => {
                let (from, which, choice) = (address(script.byte()), script.byte(), script.byte());
                let xid = first_xid.wrapping_add(which.into());
                let mut reply = words(&[xid, 1, u32::from(choice & 3)]);
                if choice & 3 == 0 {
                    reply.extend(words(&[0, 0, u32::from(choice >> 2 & 7)]));
                }
                reply.extend_from_slice(script.piece());
                arrive(&mut client, from, &reply, &mut pending);
            }
            5 => now = pass(&mut client, now + script.delay(), &mut pending, max_tries),
            6 => {
                let due = client.next_timeout().unwrap_or(now);
                now = pass(&mut client, due.max(now), &mut pending, max_tries);
            }
            _ => transmit(&mut client, &mut pending, max_tries),
        }
        pass(&mut client, now, &mut pending, max_tries);
        most_pending = most_pending.max(pending.len());
        let used = ALLOCATED.current_usage().saturating_sub(before);
        assert!(used <= 4096 + most_pending * MOST_PER_CALL, "{used} bytes for {most_pending} calls");
    }
    // Without an answer, each call ends when its tries are spent.
    for _ in 0..=pending.len() * max_tries as usize {
        let Some(due) = client.next_timeout() else { break };
        transmit(&mut client, &mut pending, max_tries);
        now = pass(&mut client, due.max(now), &mut pending, max_tries);
    }
    assert_eq!((client.next_timeout(), pending.len(), client.poll_transmit()), (None, 0, None));
}

/// A call that has not ended.
struct Pending {
    xid: u32,
    to: SocketAddr,
    made: Duration,
    deadline: Option<Duration>,
    /// How often it was sent.
    tries: u32,
}

/// A datagram comes. It ends the call to its sender that has its xid, or nothing.
fn arrive(client: &mut DatagramClient, from: SocketAddr, datagram: &[u8], pending: &mut Vec<Pending>) {
    client.handle_datagram(from, datagram);
    let Some(event) = client.poll_event() else { return };
    let Event::Reply(reply) = event else { panic!("{event:?}") };
    assert_eq!(Some(&reply.xid.to_be_bytes()), datagram.first_chunk());
    assert!(reply.body.is_ok());
    let place = pending.iter().position(|pending| pending.xid == reply.xid);
    let Pending { to, .. } = pending.swap_remove(place.expect("a call that has not ended"));
    assert!(is_one(to, from), "{from} answers a call to {to}");
}

/// Lets time pass, and takes what has ended: nobody answers here.
fn pass(client: &mut DatagramClient, now: Duration, pending: &mut Vec<Pending>, max_tries: u32) -> Duration {
    client.handle_time(now);
    assert!(client.next_timeout().is_none_or(|at| at > now), "due again at once, for ever");
    while let Some(event) = client.poll_event() {
        let Event::DeadlineExceeded { xid } = event else { panic!("{event:?}") };
        let place = pending.iter().position(|pending| pending.xid == xid);
        let call = pending.swap_remove(place.expect("a call that has not ended"));
        let over = call.deadline.is_some_and(|deadline| now >= deadline);
        // The waits double from one second on.
        let spent = call.made + Duration::from_secs((1 << max_tries) - 1);
        assert!(over || now >= spent, "given up at {now:?}, made at {:?}, sent {} times", call.made, call.tries);
    }
    assert_eq!(client.in_flight(), pending.len());
    now
}

/// Takes all that is to be sent.
fn transmit(client: &mut DatagramClient, pending: &mut [Pending], max_tries: u32) {
    while let Some(Transmit { to, datagram, .. }) = client.poll_transmit() {
        assert!(datagram.len() <= MAX_DATAGRAM);
        let (message, _) = decode_prefix::<Message>(&datagram).expect("a message");
        let call = pending.iter_mut().find(|call| call.xid == message.xid).expect("a call that has not ended");
        call.tries += 1;
        assert!(call.to == to && call.tries <= max_tries, "{to}, {} tries", call.tries);
    }
}
