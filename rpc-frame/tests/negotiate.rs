//! Which version of a program both sides have: servers with ranges, with holes, and with lies.
#![cfg(feature = "tokio")]

mod wire;

use rpc_frame::tokio::{CallError, Client, NegotiateError};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use wire::{record, success, words};

const PROGRAM: u32 = 0x2000_0049;

/// A server that has these versions and says that it has this range. It returns the versions that were asked for.
fn server(has: &'static [u32], says: (u32, u32)) -> (Client, JoinHandle<Vec<u32>>) {
    let (near, far) = duplex(4096);
    (Client::new(near), tokio::spawn(serve(far, has, says)))
}

async fn serve(mut io: DuplexStream, has: &'static [u32], (low, high): (u32, u32)) -> Vec<u32> {
    let mut asked = Vec::new();
    let mut call = [0; 44];
    while io.read_exact(&mut call).await.is_ok() {
        let word = |index: usize| u32::from_be_bytes(call[4 * index..][..4].try_into().unwrap());
        let (xid, version) = (word(1), word(5));
        assert_eq!((word(4), word(6)), (PROGRAM, 0));
        asked.push(version);
        let reply = match has.contains(&version) {
            true => success(xid, &[]),
            false => record(&words(&[xid, 1, 0, 0, 0, 2, low, high])),
        };
        io.write_all(&reply).await.unwrap();
    }
    asked
}

#[tokio::test]
async fn the_highest_common_version_is_found_with_one_call_more_than_guesses() {
    for (has, says, wanted, found, calls) in [
        (&[3][..], (3, 3), 3..=3, 3, &[3][..]),
        (&[2, 3], (2, 3), 1..=4, 3, &[4, 3]),
        (&[2], (2, 2), 1..=u32::MAX, 2, &[u32::MAX, 2]),
        (&[0], (0, 0), 0..=1, 0, &[1, 0]),
        // A hole at 3.
        (&[2, 4], (2, 4), 1..=3, 2, &[3, 2]),
        (&[2, 9], (2, 9), 0..=5, 2, &[5, 4, 3, 2]),
        // One so wide that all of it would take too many calls.
        (&[1, 100], (1, 100), 1..=50, 1, &[50, 49, 48, 47, 46, 45, 44, 1]),
    ] {
        let (client, asked) = server(has, says);
        assert_eq!(client.negotiate(PROGRAM, wanted).await.unwrap(), found);
        drop(client);
        assert_eq!(asked.await.unwrap(), calls);
    }
}

#[tokio::test]
async fn no_common_version_is_an_error_that_names_the_servers_range() {
    for (says, wanted, calls) in [((5, 7), 1..=4, 1), ((1, 2), 3..=4, 1), ((0, 0), 1..=1, 1), ((1, 100), 40..=42, 3)] {
        let (client, asked) = server(&[], says);
        let error = client.negotiate(PROGRAM, wanted).await.unwrap_err();
        assert!(matches!(error, NegotiateError::NoCommonVersion { low, high, .. } if (low, high) == says), "{error}");
        drop(client);
        assert_eq!(asked.await.unwrap().len(), calls);
    }
}

#[tokio::test]
async fn a_search_that_is_given_up_tells_the_servers_range_and_what_was_tried() {
    let (client, asked) = server(&[1, 100], (1, 100));
    let error = client.negotiate(PROGRAM, 10..=50).await.unwrap_err();
    drop(client);
    let all = asked.await.unwrap();
    assert_eq!(all, [50, 49, 48, 47, 46, 45, 44, 43]);
    let told = format!(
        "server has versions 1 to 100 of program {PROGRAM}, with holes: {all:?} are not there, and no more are tried"
    );
    assert_eq!(error.to_string(), told);
    assert!(matches!(error, NegotiateError::GivenUp { low: 1, high: 100, tried, .. } if tried == all));
    // One that refuses what it says that it has.
    let (client, _asked) = server(&[], (1, 100));
    let error = client.negotiate(PROGRAM, 1..=50).await.unwrap_err();
    assert!(matches!(error, NegotiateError::Contradiction { low: 1, high: 100, .. }), "{error}");
}

#[tokio::test]
async fn survives_ranges_that_are_none_and_ranges_that_are_all() {
    for (says, most) in [((4, 1), 1), ((0, u32::MAX), 8), ((7, 7), 1)] {
        let (client, asked) = server(&[], says);
        let error = client.negotiate(PROGRAM, 0..=7).await.unwrap_err();
        assert!(matches!(error, NegotiateError::Contradiction { .. }), "{says:?}: {error}");
        drop(client);
        assert_eq!(asked.await.unwrap().len(), most, "{says:?}");
    }
}

#[tokio::test]
async fn other_failures_and_an_empty_range_are_told_as_they_are() {
    let (client, asked) = server(&[], (1, 1));
    #[expect(clippy::reversed_empty_ranges, reason = "it is what is tested")]
    let error = client.negotiate(PROGRAM, 2..=1).await.unwrap_err();
    assert!(matches!(error, NegotiateError::NoVersions), "{error}");
    asked.abort();
    let _ = asked.await;
    let error = client.negotiate(PROGRAM, 1..=1).await.unwrap_err();
    assert!(matches!(error, NegotiateError::Call(CallError::Closed(_) | CallError::NotConnected(_))), "{error}");
}
