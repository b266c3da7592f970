//! 31 to 34: peers that are slow, many, or gone. Time stands still, and jumps to the next timer when nothing else is left
//! to do; by unix socket, because what is written to one is there at once.

use std::time::Duration;

use rpc_frame::ConnectionError;
use rpc_frame::tokio::{CallError, Client, ClosedError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

use crate::wire::{Call, hex, success, words};
use crate::{
    Double, GATE, Hold, Panic, Site, accepted, called, double, fill, hold, patient, read_record, reason,
    unix_client_with, within,
};

/// So that a test fails, and does not hang, where nothing ends what it waits for.
async fn within_minutes<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(300), future).await.expect("nothing happens for minutes")
}

/// Writes a byte now and then until the other side has closed, and tells after how many seconds it had.
async fn drip(raw: &mut UnixStream, bytes: &[u8], pace: Duration) -> u64 {
    let begun = Instant::now();
    for byte in bytes {
        if raw.write_all(&[*byte]).await.is_err() || timeout(pace, raw.read_u8()).await.is_ok() {
            break;
        }
    }
    begun.elapsed().as_secs()
}

// 31
#[tokio::test(start_paused = true)]
async fn rejects_a_call_of_a_byte_a_second_and_a_header_with_silence_behind_it() {
    let site = Site::open().await;
    let others = patient(site.bystander().await);
    let call = double(1, 1);
    for pace in [Duration::from_secs(1), Duration::from_secs(3600)] {
        assert_eq!(drip(&mut site.unix().await, &call, pace).await, 10);
    }
    let mut raw = site.unix().await;
    raw.write_all(&call[..24]).await.unwrap();
    let begun = Instant::now();
    assert_eq!(within_minutes(raw.read(&mut [0])).await.unwrap(), 0, "closed");
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert_eq!(others.call(&Double { number: 4 }).await.unwrap(), 8);
}

// 31
#[tokio::test(start_paused = true)]
async fn rejects_a_reply_of_a_byte_a_second_and_a_header_with_silence_behind_it() {
    for pace in [Duration::from_secs(1), Duration::from_secs(3600)] {
        let (client, mut raw) = unix_client_with(|_| {});
        let call = hold(&client, 1);
        let reply = success(called(&mut raw).await, &words(&[1]));
        assert_eq!(drip(&mut raw, &reply, pace).await, 10);
        assert_eq!(reason(&call.await.unwrap().unwrap_err()), ConnectionError::RecordTimeout);
    }
    let (client, mut raw) = unix_client_with(|_| {});
    let call = hold(&client, 1);
    let reply = success(called(&mut raw).await, &words(&[1]));
    let begun = Instant::now();
    raw.write_all(&reply[..24]).await.unwrap();
    assert_eq!(reason(&call.await.unwrap().unwrap_err()), ConnectionError::RecordTimeout);
    assert_eq!(begun.elapsed().as_secs(), 10);
}

// 31
#[tokio::test(start_paused = true)]
async fn survives_a_client_that_never_reads_its_replies() {
    let site = Site::open().await;
    let others = patient(site.bystander().await);
    let mut raw = site.unix().await;
    let begun = Instant::now();
    let (call, mut taken) = (fill(1, 500_000), 0_usize);
    while within_minutes(raw.write_all(&call)).await.is_ok() {
        taken += 1;
        // As many as fit the sockets and the engine, not as many as time allows.
        assert!(taken < 20_000, "{taken} calls");
        if taken.is_multiple_of(64) {
            assert_eq!(others.call(&Double { number: 4 }).await.unwrap(), 8);
        }
    }
    assert_eq!(begun.elapsed().as_secs(), 30, "given up");
    assert!(site.server.counters().calls.succeeded < 70, "what is not read is not made");
    assert_eq!(others.call(&Double { number: 4 }).await.unwrap(), 8);
}

// 31
#[tokio::test(start_paused = true)]
async fn survives_a_server_that_never_reads_its_calls() {
    let (client, _raw) = unix_client_with(|_| {});
    let begun = Instant::now();
    let calls: Vec<_> = (0..16_384).map(|ticket| hold(&client, ticket)).collect();
    for call in calls {
        let error = within_minutes(call).await.unwrap().unwrap_err();
        assert_eq!(reason(&error), ConnectionError::WriteTimeout);
    }
    assert_eq!(begun.elapsed().as_secs(), 30);
    assert!(matches!(client.call(&Hold { ticket: 1 }).await, Err(CallError::NotConnected(_))));
}

// 32
#[tokio::test(start_paused = true)]
async fn survives_more_connections_than_the_cap() {
    let site = Site::open_with(|config| config.max_connections = 3).await;
    let mut served = Vec::new();
    for _ in 0..3 {
        let client = patient(Client::new(site.unix().await));
        client.null(GATE, 3).await.unwrap();
        served.push(client);
    }
    let waiting: Vec<_> = {
        let mut waiting = Vec::new();
        for _ in 0..40 {
            let client = patient(Client::new(site.unix().await));
            waiting.push(tokio::spawn(async move { client.null(GATE, 3).await }));
        }
        waiting
    };
    assert!(timeout(Duration::from_secs(60), served[0].closed()).await.is_err());
    assert_eq!(site.server.connections(), 3);
    assert!(!waiting.iter().any(|call| call.is_finished()), "they wait");
    assert_eq!(served[1].call(&Double { number: 4 }).await.unwrap(), 8, "and the others are served");
    drop(served);
    for call in waiting {
        call.await.unwrap().unwrap();
    }
}

// 32
#[tokio::test(start_paused = true)]
async fn survives_more_calls_in_flight_than_the_cap() {
    let mut site = Site::open().await;
    let client = patient(site.bystander().await);
    let calls: Vec<_> = (0..200).map(|ticket| hold(&client, ticket)).collect();
    let mut held = Vec::new();
    for _ in 0..64 {
        held.push(site.held.recv().await.unwrap());
    }
    assert!(timeout(Duration::from_secs(1), site.held.recv()).await.is_err(), "64 are answered at a time");
    assert_eq!(site.server.counters().calls.in_flight(), 64);
    for _ in 0..200 {
        let next = held.pop().unwrap();
        next.answer.send(next.ticket).unwrap();
        if let Ok(Some(next)) = timeout(Duration::from_secs(1), site.held.recv()).await {
            held.push(next);
        }
    }
    for (ticket, call) in (0..).zip(calls) {
        assert_eq!(call.await.unwrap().unwrap(), ticket);
    }
}

// 33
#[tokio::test(start_paused = true)]
async fn survives_a_handler_that_panics() {
    let mut site = Site::open().await;
    let client = patient(site.bystander().await);
    let waiting = hold(&client, 1);
    let held = site.held.recv().await.unwrap();
    for late in [false, true, false] {
        let error = client.call(&Panic { late }).await.unwrap_err();
        assert!(matches!(error, CallError::SystemErr), "{error}");
        assert_eq!(client.call(&Double { number: 4 }).await.unwrap(), 8);
    }
    held.answer.send(5).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), 5, "the other handler of the connection");
    assert_eq!(site.server.counters().calls.system_err, 3);
}

// 33
#[tokio::test(start_paused = true)]
async fn survives_a_handler_that_never_returns() {
    let mut site = Site::open().await;
    let client = patient(site.bystander().await);
    let waiting = hold(&client, 1);
    let held = site.held.recv().await.unwrap();
    let begun = Instant::now();
    let error = waiting.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::SystemErr), "{error}");
    assert_eq!(begun.elapsed().as_secs(), 600);
    assert!(held.answer.is_closed(), "the handler is gone");
    assert_eq!(client.call(&Double { number: 4 }).await.unwrap(), 8);
}

// 33
#[tokio::test(start_paused = true)]
async fn survives_a_handler_that_never_returns_and_has_no_limit() {
    let mut site = Site::open_with(|config| config.time_limit = None).await;
    let client = patient(site.bystander().await);
    let waiting = hold(&client, 1);
    let held = site.held.recv().await.unwrap();
    for number in 0..1_000 {
        assert_eq!(client.call(&Double { number }).await.unwrap(), 2 * number);
    }
    assert!(timeout(Duration::from_secs(24 * 3600), client.closed()).await.is_err(), "it may take its time");
    let begun = Instant::now();
    assert!(!site.server.shutdown(Duration::from_secs(7)).await, "it was cut off");
    assert_eq!(begun.elapsed().as_secs(), 7);
    let error = waiting.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Closed(ClosedError::ByPeer)), "{error}");
    assert!(held.answer.is_closed(), "the handler is gone");
    assert_eq!(site.server.counters().calls.unanswered, 1);
}

// 33
#[tokio::test(start_paused = true)]
async fn survives_a_call_whose_client_leaves() {
    let mut site = Site::open().await;
    for answered in [true, false] {
        let mut raw = site.unix().await;
        raw.write_all(&Call::new(1, GATE, 3, 2).args(words(&[1])).record()).await.unwrap();
        let mut held = site.held.recv().await.unwrap();
        drop(raw);
        if answered {
            // Its reply goes to nobody.
            held.answer.send(1).unwrap();
        } else {
            // A half-closed client still gets its reply: only one that is wholly gone shows when it is written to.
            let mut other = site.unix().await;
            other.write_all(&double(1, 4)).await.unwrap();
            assert_eq!(hex(&read_record(&mut other).await), hex(&success(1, &words(&[8]))));
            assert!(!held.answer.is_closed());
            site.server.shutdown(Duration::ZERO).await;
            held.answer.closed().await;
        }
        let counters = || site.server.counters();
        while counters().open > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(counters().calls.in_flight(), 0);
    }
}

// 33
#[tokio::test]
async fn drops_the_handlers_of_a_connection_that_is_reset_and_no_others() {
    let mut site = Site::open().await;
    let (mut raw, mut other) = (site.tcp().await, site.tcp().await);
    let mut held = Vec::new();
    for stream in [&mut raw, &mut other] {
        stream.write_all(&Call::new(1, GATE, 3, 2).args(words(&[1])).record()).await.unwrap();
        held.push(within(site.held.recv()).await.unwrap());
    }
    raw.set_zero_linger().unwrap();
    drop(raw);
    within(held[0].answer.closed()).await;
    held.remove(1).answer.send(5).unwrap();
    assert_eq!(hex(&read_record(&mut other).await), hex(&success(1, &words(&[5]))));
    assert_eq!(site.server.counters().calls.unanswered, 1);
}

// 34
#[tokio::test(start_paused = true)]
async fn survives_shutdown_in_the_middle_of_calls_whose_answers_are_delivered() {
    let mut site = Site::open().await;
    let client = patient(site.bystander().await);
    let calls: Vec<_> = (0..10).map(|ticket| hold(&client, ticket)).collect();
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(site.held.recv().await.unwrap());
    }
    let server = site.server.clone();
    let ending = tokio::spawn(async move { server.shutdown(Duration::from_secs(60)).await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!ending.is_finished(), "it waits for the handlers");
    for held in held {
        held.answer.send(held.ticket + 100).unwrap();
    }
    assert!(ending.await.unwrap(), "nothing was cut off");
    for (ticket, call) in (0..).zip(calls) {
        assert_eq!(call.await.unwrap().unwrap(), ticket + 100);
    }
    assert!(matches!(client.closed().await, ClosedError::ByPeer));
    assert!(UnixStream::connect(&site.unix.0).await.is_err(), "nobody listens any more");
    let calls = site.server.counters().calls;
    assert_eq!((calls.succeeded, calls.in_flight()), (10, 0));
}

// 34
#[tokio::test(start_paused = true)]
async fn survives_shutdown_while_the_answers_are_read_slowly() {
    let site = Site::open().await;
    let mut raw = site.unix().await;
    raw.write_all(&[fill(1, 900_000), Call::new(2, GATE, 3, 99).record()].concat()).await.unwrap();
    assert_eq!(raw.read_u32().await.unwrap(), 0x8000_0000 | (900_000 + 28));
    let server = site.server.clone();
    let ending = tokio::spawn(async move { server.shutdown(Duration::from_secs(3600)).await });
    let mut read = 0;
    while read < 900_000 + 28 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut piece = vec![0; 10_000];
        let len = raw.read(&mut piece).await.unwrap();
        assert!(len > 0, "cut off after {read} bytes");
        read += len.min(900_000 + 28 - read);
        if read == 900_000 + 28 {
            let mut last = piece[..len].to_vec();
            raw.read_to_end(&mut last).await.unwrap();
            assert!(last.ends_with(&accepted(2, 3)), "both answers, and then the end");
        }
    }
    assert!(ending.await.unwrap());
}
