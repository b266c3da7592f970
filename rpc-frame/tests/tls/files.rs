//! What is read at the start, and anew.

use std::fs;

use rpc_frame::tls::{ClientTls, ServerTls, TlsFiles};
use rpc_frame::tokio::Client;

use crate::authority::{Authority, Request};
use crate::{WhoAmI, client, client_files, serve, server_files};

fn refused(files: TlsFiles) -> String {
    ServerTls::builder(files).build().unwrap_err().to_string()
}

#[test]
fn a_file_that_is_of_no_use_stops_the_start() {
    let authority = Authority::new();
    let good = authority.issue("good", &Request::server(&["localhost"]));
    let other = authority.issue("other", &Request::server(&["localhost"]));
    let at = |name: &str| authority.folder().join(name);
    fs::write(at("empty"), "").unwrap();
    fs::write(at("broken"), "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").unwrap();
    fs::write(at("noise"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    fs::write(at("secret"), "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
        .unwrap();
    let headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n";
    let old = format!("-----BEGIN EC PRIVATE KEY-----\n{headers}AAAA\n-----END EC PRIVATE KEY-----\n");
    fs::write(at("old-secret"), old).unwrap();
    let files = |certificate: &std::path::Path, key: &std::path::Path| {
        TlsFiles::new(authority.certificate()).with_certificate(certificate, key)
    };
    let with_authorities = |path| TlsFiles::new(path).with_certificate(&good.certificate, &good.key);
    for (files, file, says) in [
        (with_authorities(at("none")), at("none"), "No such file or directory"),
        (with_authorities(at("empty")), at("empty"), "there is no certificate in it"),
        (with_authorities(at("broken")), at("broken"), "it is not PEM"),
        (with_authorities(good.key.clone()), good.key.clone(), "there is no certificate in it"),
        (files(&at("none"), &good.key), at("none"), "No such file or directory"),
        (files(&at("noise"), &good.key), at("noise"), "it is not a certificate"),
        (files(&good.certificate, &at("none")), at("none"), "No such file or directory"),
        (files(&good.certificate, &good.certificate), good.certificate.clone(), "there is no private key in it"),
        (
            files(&good.certificate, &at("secret")),
            at("secret"),
            "the private key is encrypted, and nobody is asked for its password",
        ),
        (files(&good.certificate, &at("old-secret")), at("old-secret"), "the private key is encrypted"),
        (files(&good.certificate, &at("empty")), at("empty"), "there is no private key in it"),
        (files(&good.certificate, &other.key), other.key.clone(), "the key does not belong to the certificate"),
        (files(authority.folder(), &good.key), authority.folder().to_owned(), "Is a directory"),
    ] {
        let message = refused(files);
        let named = message.starts_with(&format!("'{}': ", file.display()));
        assert!(named && message.contains(says), "{message}, and not {says}");
    }
    let message = refused(TlsFiles::new(authority.certificate()));
    assert!(message.contains("there is no certificate of the server's own"), "{message}");
}

#[test]
fn a_certificate_of_our_own_that_nobody_would_take_stops_the_start() {
    let authority = Authority::new();
    let server = |request: &Request| {
        let own = authority.issue("own", request);
        refused(TlsFiles::new(authority.certificate()).with_certificate(own.certificate, own.key))
    };
    let message = server(&Request::server(&["localhost"]).valid(2001, 2002));
    assert!(message.contains("the certificate has expired, it was valid until Jan  1 00:00:00 2002"), "{message}");
    let message = server(&Request::server(&["localhost"]).valid(2100, 2101));
    assert!(message.contains("the certificate is not valid before Jan  1 00:00:00 2100"), "{message}");
    let message = server(&Request::client("localhost"));
    assert!(message.contains("the certificate is not for servers (extended key usage)"), "{message}");
    let message = server(&Request::server(&["localhost"]).that_signs_nothing());
    assert!(message.contains("the certificate's key is not for signatures (key usage)"), "{message}");
    let own = authority.issue("own", &Request::server(&["alice"]));
    let files = TlsFiles::new(authority.certificate()).with_certificate(own.certificate, own.key);
    let message = ClientTls::builder(files).build().unwrap_err().to_string();
    assert!(message.contains("the certificate is not for clients (extended key usage)"), "{message}");
}

#[tokio::test]
async fn an_authority_that_is_not_valid_now_vouches_for_nobody() {
    for (old, says) in [
        (Authority::valid(2001, 2002), "the certificate has expired, it was valid until Jan  1 00:00:00 2002"),
        (Authority::valid(2100, 2101), "the certificate is not valid before Jan  1 00:00:00 2100"),
    ] {
        let message = refused(server_files(&old));
        assert!(message.starts_with(&format!("'{}': {says}", old.certificate().display())), "{message}");
        let message = ClientTls::builder(client_files(&old, "alice")).build().unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
        // Beside another one, as while one takes the other's place, it is left out.
        let authority = Authority::new();
        let (alice, bob) = (client(client_files(&authority, "alice")), old.issue("bob", &Request::client("bob")));
        let certificates = [&authority, &old].map(|authority| fs::read_to_string(authority.certificate()).unwrap());
        fs::write(authority.certificate(), certificates.concat()).unwrap();
        let running = serve(ServerTls::builder(server_files(&authority))).await;
        assert_eq!(running.who(&alice).await, Ok("C=DE,O=Example,CN=alice".to_owned()));
        let files = TlsFiles::new(authority.certificate()).with_certificate(bob.certificate, bob.key);
        let refused = running.who(&client(files)).await.unwrap_err();
        assert!(refused.contains("UnknownCA"), "{refused}");
    }
}

#[tokio::test]
async fn files_are_read_anew_without_a_connection_being_lost() {
    let (authority, other) = (Authority::new(), Authority::new());
    let files = server_files(&authority);
    let running = serve(ServerTls::builder(files.clone())).await;
    let alice = client(client_files(&authority, "alice"));
    let stream = alice.connect(running.stream().await, "localhost").await.unwrap();
    let before = Client::new(stream);
    before.call(&WhoAmI).await.unwrap();

    // A mistake changes nothing.
    let certificate = files.certificate.unwrap();
    let good = fs::read(&certificate).unwrap();
    fs::write(&certificate, "").unwrap();
    assert!(running.tls.reload().unwrap_err().to_string().contains("there is no certificate in it"));
    assert!(running.who(&alice).await.is_ok());

    // Another authority, and a certificate that it has issued: those of before are let in no more, but stay.
    fs::write(&certificate, good).unwrap();
    let own = other.issue("server", &Request::server(&["localhost"]));
    fs::copy(other.certificate(), authority.certificate()).unwrap();
    fs::copy(&own.certificate, &certificate).unwrap();
    fs::copy(&own.key, files.key.unwrap()).unwrap();
    running.tls.reload().unwrap();
    assert!(running.who(&alice).await.is_err());
    let bob = client(client_files(&other, "bob"));
    assert_eq!(running.who(&bob).await, Ok("C=DE,O=Example,CN=bob".to_owned()));
    assert_eq!(before.call(&WhoAmI).await.unwrap().name, "C=DE,O=Example,CN=alice");
}
