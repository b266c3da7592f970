//! Any text, taken as the URI of a daemon.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qemud_proto::uri::{ConnectUri, Transport, URI_MAX};

fuzz_target!(|text: &str| {
    let Ok(uri) = text.parse::<ConnectUri>() else { return };
    assert!(uri.remote.len() <= URI_MAX);
    assert!(!uri.remote.contains(char::is_control));
    let host = match &uri.transport {
        Transport::Tls { host, .. } | Transport::Tcp { host, .. } => Some(host),
        Transport::Ssh(ssh) => {
            assert!(ssh.user.as_ref().is_none_or(|user| !user.starts_with('-')));
            Some(&ssh.host)
        }
        _ => None,
    };
    assert!(host.is_none_or(|host| !host.is_empty() && !host.starts_with('-')));
    // What the daemon is sent says the same as what stood here, and no way to anybody.
    if !text.contains("name") {
        let remote: ConnectUri = uri.remote.parse().expect("what the daemon is sent is a URI");
        assert_eq!((&remote.driver, &remote.path, &remote.remote), (&uri.driver, &uri.path, &uri.remote));
        assert!(matches!(remote.transport, Transport::InProcess | Transport::Unix { socket: None }));
    }
});
