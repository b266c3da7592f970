use std::sync::mpsc;

use super::*;

fn link() -> Link {
    Link::new("test:///default")
}

fn domains(connect: &Connect) -> Reply<u32> {
    connect.num_of_domains().map_err(|error| failure(&error))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_libvirt_that_hangs_takes_few_threads_and_no_more() {
    let link = Arc::new(link());
    let (begun, has_begun) = mpsc::channel();
    let mut release = Vec::new();
    let hanging: Vec<_> = (0..CALLS_MAX)
        .map(|_| {
            let (sender, receiver) = mpsc::channel::<()>();
            release.push(sender);
            let (link, begun) = (Arc::clone(&link), begun.clone());
            tokio::spawn(async move {
                link.call(move |_| {
                    begun.send(()).unwrap();
                    let _ = receiver.recv();
                    Ok(())
                })
                .await
            })
        })
        .collect();
    for _ in 0..CALLS_MAX {
        has_begun.recv().unwrap();
    }
    let (shared, turns) = (Arc::clone(&link.shared), Arc::clone(&link.turns));
    let hasty = Link { shared, turns, patience: Duration::from_millis(20) };
    let late = hasty.call(domains).await.unwrap_err();
    assert_eq!(late.code, Code::NoConnect);
    assert_eq!(late.message, "libvirt has not answered for 'test:///default' in 20ms");
    assert!(self::link().call(domains).await.is_ok(), "another connection goes on");
    drop(release);
    for call in hanging {
        assert_eq!(call.await.unwrap(), Ok(()));
    }
    assert!(link.call(domains).await.is_ok());
}

#[tokio::test]
async fn a_connection_that_does_not_open_fails_as_libvirt_says() {
    let failure = Link::new("qemu+unix:///session?socket=/nonexistent/sock").call(domains).await.unwrap_err();
    assert_eq!(failure.code, Code::SystemError);
    assert!(failure.message.contains("'/nonexistent/sock': No such file or directory"), "{failure}");
    let failure = Link::new("nothing:///").call(domains).await.unwrap_err();
    assert!(!failure.message.is_empty());
}

#[tokio::test]
async fn work_that_panics_ends_its_call_alone() {
    let link = link();
    for _ in 0..CALLS_MAX * 2 {
        let failure = link.call::<()>(|_| panic!("a defect, as this test wants it")).await.unwrap_err();
        assert_eq!(failure.code, Code::InternalError);
    }
    assert!(link.call(domains).await.is_ok());
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "the thread that it keeps waiting is not one of the runtime's")]
async fn what_nobody_waits_for_any_more_is_not_begun() {
    let link = link();
    // As if another call were opening the connection.
    let shared = Arc::clone(&link.shared);
    let opening = shared.open.lock().unwrap();
    let (done, was_done) = mpsc::channel();
    let call = link.call(move |_| {
        done.send(()).unwrap();
        Ok(())
    });
    assert!(timeout(Duration::ZERO, call).await.is_err());
    drop(opening);
    // The thread drops the work, and with it the sender.
    assert_eq!(was_done.recv(), Err(mpsc::RecvError));
}

#[tokio::test]
async fn a_connection_that_lasts_is_used_again() {
    let link = link();
    let open = async || {
        link.call(domains).await.unwrap();
        Arc::as_ptr(link.shared.open.lock().unwrap().as_ref().unwrap())
    };
    assert_eq!(open().await, open().await);
}
