//! Every form of a URI: where it leads, or what is wrong with it.

use qemud_proto::uri::{ConnectUri, Proxy, Transport, URI_MAX, UriConfig};

fn parsed(text: &str) -> ConnectUri {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn message(text: &str) -> String {
    text.parse::<ConnectUri>().map_or_else(|error| error.to_string(), |uri| panic!("{text} is taken as {uri:?}"))
}

/// The way, in a few words: transport, user@host:port, and each parameter that is not as it is by itself.
fn way(transport: &Transport) -> String {
    let mut words = Vec::new();
    let mut add = |name: &str, value: Option<String>| words.extend(value.map(|value| format!("{name}={value}")));
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let front = match transport {
        Transport::InProcess => "in process".to_owned(),
        Transport::Unix { socket } => {
            add("socket", path(socket));
            "unix".to_owned()
        }
        Transport::Tls { host, port, certificates, verify } => {
            add("pkipath", path(&certificates.folder));
            add("verify", (!verify).then(|| "no".to_owned()));
            format!("tls {host} {port}")
        }
        Transport::Tcp { host, port } => format!("tcp {host} {port}"),
        Transport::Ssh(ssh) => {
            add("port", ssh.port.map(|port| port.to_string()));
            add("user", ssh.user.clone());
            for (name, value) in
                [("command", &ssh.command), ("socket", &ssh.socket), ("netcat", &ssh.netcat), ("keyfile", &ssh.keyfile)]
            {
                add(name, path(value));
            }
            add("verify", (!ssh.verify).then(|| "no".to_owned()));
            add("questions", ssh.questions.then(|| "yes".to_owned()));
            add("proxy", (ssh.proxy != Proxy::Auto).then(|| format!("{:?}", ssh.proxy)));
            format!("ssh {}", ssh.host)
        }
        Transport::Ext { command } => format!("ext {}", command.display()),
        other => panic!("{other:?} is new"),
    };
    words.insert(0, front);
    words.join(" ")
}

#[test]
fn each_form_leads_where_it_says_and_leaves_the_rest_to_the_daemon() {
    for (text, leads, remote) in [
        // Without a transport: in process, unix, or TLS.
        ("test:///default", "in process", "test:///default"),
        ("TEST:///default", "in process", "test:///default"),
        ("test:///default?delay=3", "in process", "test:///default?delay=3"),
        ("test:///default?", "in process", "test:///default"),
        ("test:///default?&&", "in process", "test:///default"),
        ("qemu:///system", "unix", "qemu:///system"),
        ("qemu:///session", "unix", "qemu:///session"),
        ("qemu:///system?socket=/x", "unix socket=/x", "qemu:///system"),
        ("xen:///", "unix", "xen:///"),
        ("xen://", "unix", "xen://"),
        ("vbox:///session", "unix", "vbox:///session"),
        ("esx-5.0:///a/b%20c", "unix", "esx-5.0:///a/b%20c"),
        ("qemu://host/system", "tls host 16514", "qemu:///system"),
        ("test://host/default", "tls host 16514", "test:///default"),
        ("xen://host:1/", "tls host 1", "xen:///"),
        // unix
        ("test+unix:///default", "unix", "test:///default"),
        ("test+unix:///default?socket=/a%20b", "unix socket=/a b", "test:///default"),
        ("test+unix:///default?socket=@a", "unix socket=@a", "test:///default"),
        ("test+unix:///default?socket=/a+b", "unix socket=/a+b", "test:///default"),
        ("test+unix:///default?socket=/a=b", "unix socket=/a=b", "test:///default"),
        ("test+unix:///default?%73ocket=/a", "unix socket=/a", "test:///default"),
        ("test+unix:///default?socket=/%C3%A9", "unix socket=/\u{e9}", "test:///default"),
        ("test+unix:///default?a=1&socket=/s&b=%26", "unix socket=/s", "test:///default?a=1&b=%26"),
        ("test+unix:///default?flag", "unix", "test:///default?flag"),
        ("test+unix:///default?flag=&flag=2", "unix", "test:///default?flag=&flag=2"),
        ("test+unix:///default?mode=auto", "unix", "test:///default"),
        ("test+unix:///default?mode=direct", "unix", "test:///default"),
        ("qemu+unix:///system?mode=legacy", "unix", "qemu:///system"),
        ("qemu+unix:///system?name=xen:///", "unix", "xen:///"),
        ("qemu+unix:///anything?name=xen:///%3Fa", "unix", "xen:///?a"),
        // tls
        ("qemu+tls://host/system", "tls host 16514", "qemu:///system"),
        ("QEMU+TLS://Host.Example/system", "tls Host.Example 16514", "qemu:///system"),
        ("qemu+tls://host:1/session", "tls host 1", "qemu:///session"),
        ("qemu+tls://[::1]/system", "tls ::1 16514", "qemu:///system"),
        ("qemu+tls://192.0.2.7:65535/system", "tls 192.0.2.7 65535", "qemu:///system"),
        ("qemu+tls://h/system?no_verify=1", "tls h 16514 verify=no", "qemu:///system"),
        ("qemu+tls://h/system?no_verify=0", "tls h 16514", "qemu:///system"),
        ("qemu+tls://h/system?pkipath=/p&x=y", "tls h 16514 pkipath=/p", "qemu:///system?x=y"),
        ("qemu+tls://h/system?pkipath=p", "tls h 16514 pkipath=p", "qemu:///system"),
        // tcp
        ("test+tcp://localhost/default", "tcp localhost 16509", "test:///default"),
        ("TEST+TCP://localhost/default", "tcp localhost 16509", "test:///default"),
        ("test+tcp://[2001:db8::1]:7/default", "tcp 2001:db8::1 7", "test:///default"),
        ("test+tcp://a_b.example./default", "tcp a_b.example. 16509", "test:///default"),
        ("test+tcp://h%6Fst/default", "tcp host 16509", "test:///default"),
        ("test+tcp://h/default?name=", "", ""),
        // ssh
        ("test+ssh://h/default", "ssh h", "test:///default"),
        ("test+ssh://me@h:2222/default", "ssh h port=2222 user=me", "test:///default"),
        ("test+ssh://m%40e@h/default", "ssh h user=m@e", "test:///default"),
        ("test+ssh://[fe80::1]/default", "ssh fe80::1", "test:///default"),
        ("qemu+ssh://h/session?socket=/s&netcat=nc.openbsd", "ssh h socket=/s netcat=nc.openbsd", "qemu:///session"),
        ("qemu+ssh://h/system?keyfile=k&command=/opt/ssh", "ssh h command=/opt/ssh keyfile=k", "qemu:///system"),
        ("qemu+ssh://h/system?no_verify=1&no_tty=1", "ssh h verify=no", "qemu:///system"),
        ("qemu+ssh://h/system?no_tty=0", "ssh h questions=yes", "qemu:///system"),
        ("qemu+ssh://h/system?proxy=netcat", "ssh h proxy=Netcat", "qemu:///system"),
        ("qemu+ssh://h/system?proxy=native", "ssh h proxy=Native", "qemu:///system"),
        ("qemu+ssh://h/system?proxy=auto&mode=auto", "ssh h", "qemu:///system"),
        ("xen+ssh://h?a=b", "ssh h", "xen://?a=b"),
        // ext
        ("xen+ext:///?command=/bin/join", "ext /bin/join", "xen:///"),
        ("xen+ext:///?command=join&depth=2", "ext join", "xen:///?depth=2"),
        ("qemu+ext:///x?command=join&name=lxc:///", "ext join", "lxc:///"),
    ] {
        if leads.is_empty() {
            assert_eq!(message(text), "parameter 'name' has no value", "{text}");
            continue;
        }
        let uri = parsed(text);
        assert_eq!((way(&uri.transport).as_str(), uri.remote.as_str()), (leads, remote), "{text}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let long = format!("xen:///{}", "x".repeat(URI_MAX));
    for (text, says) in [
        // Not URIs.
        ("", "'' is not a URI: it does not begin with 'driver://'"),
        ("test", "'test' is not a URI: it does not begin with 'driver://'"),
        ("/run/sock", "it does not begin with 'driver://'"),
        ("+unix:///default", "it does not begin with 'driver://'"),
        ("1test:///default", "it does not begin with 'driver://'"),
        ("test:", "'//' is missing behind the driver"),
        ("test:default", "'//' is missing behind the driver"),
        ("test:/default", "'//' is missing behind the driver"),
        (" test:///default", "white space or a control character"),
        ("test:///def ault", "white space or a control character"),
        ("te\nst:///default", "white space or a control character"),
        ("test:///default\0", "white space or a control character"),
        ("test+tcp://h:99999/default", "invalid port number"),
        ("test+tcp://h:x/default", "invalid port number"),
        ("test+tcp://[::1/default", "invalid IPv6 address"),
        ("test+tcp://[::g]/default", "invalid IPv6 address"),
        ("test+tcp://a<b/default", "invalid"),
        (&long, "URI of 4103 bytes is longer than its maximum 4096"),
        ("http://h/default", "driver 'http' does not exist"),
        ("https+ssh://h/default", "driver 'https' does not exist"),
        ("file:///default", "driver 'file' does not exist"),
        // Transports.
        ("test+pigeon:///default", "no transport is named 'pigeon'; there are unix, tls, tcp, ssh and ext"),
        ("test+:///default", "no transport is named ''"),
        ("test+unix+tcp:///default", "no transport is named 'unix+tcp'"),
        ("test+libssh2://h/default", "no transport is named 'libssh2'"),
        // What is missing.
        ("qemu+tls:///system", "transport 'tls' needs a host"),
        ("test+tcp:///default", "transport 'tcp' needs a host"),
        ("test+tcp://:16509/default", "empty host"),
        ("test+ssh:///default", "transport 'ssh' needs a host"),
        ("xen+ext:///", "transport 'ext' needs parameter 'command'"),
        // What means nothing there.
        ("test+unix://host/default", "host 'host' means nothing for transport 'unix'"),
        ("test+unix://me@host/default", "user 'me' means nothing for transport 'unix'"),
        ("test+tcp://me@h/default", "user 'me' means nothing for transport 'tcp'"),
        ("qemu://me@h/system", "user 'me' means nothing for transport 'tls'"),
        ("test+ssh://me:secret@h/default", "a password means nothing for transport 'ssh'"),
        ("test+ssh://h/default#x", "a fragment ('#') means nothing for transport 'ssh'"),
        ("xen+ext://h/?command=x", "host 'h' means nothing for transport 'ext'"),
        ("test:///default?socket=/x", "parameter 'socket' means nothing for transport 'in process'"),
        ("test:///default?name=x", "parameter 'name' means nothing for transport 'in process'"),
        ("test+tcp://h/default?socket=/x", "parameter 'socket' means nothing for transport 'tcp'"),
        ("test+tcp://h/default?no_verify=1", "parameter 'no_verify' means nothing for transport 'tcp'"),
        ("test+unix:///default?netcat=nc", "parameter 'netcat' means nothing for transport 'unix'"),
        ("test+unix:///default?pkipath=/p", "parameter 'pkipath' means nothing for transport 'unix'"),
        ("qemu+tls://h/system?keyfile=k", "parameter 'keyfile' means nothing for transport 'tls'"),
        ("qemu+tls://h/system?no_tty=1", "parameter 'no_tty' means nothing for transport 'tls'"),
        ("qemu+ssh://h/system?pkipath=/p", "parameter 'pkipath' means nothing for transport 'ssh'"),
        ("xen+ext:///?command=x&proxy=auto", "parameter 'proxy' means nothing for transport 'ext'"),
        ("qemu+tcp://h/system?mode=auto", "parameter 'mode' means nothing for transport 'tcp'"),
        // Values.
        ("qemu+tls://h/system?no_verify", "parameter 'no_verify' has no value"),
        ("qemu+tls://h/system?no_verify=yes", "parameter 'no_verify' is 'yes', and must be 0 or 1"),
        ("qemu+ssh://h/system?proxy=x", "parameter 'proxy' is 'x', and must be auto, netcat or native"),
        ("qemu+ssh://h/system?mode=x", "parameter 'mode' is 'x', and must be auto, direct or legacy"),
        ("test+unix:///default?socket=", "parameter 'socket' has no value"),
        ("test+unix:///default?socket=x", "parameter 'socket' is 'x', which is not an absolute path"),
        ("test+unix:///default?socket=/a&socket=/b", "parameter 'socket' is given twice"),
        ("test+unix:///default?socket=/a%00b", "parameter 'socket' has a control character"),
        ("test+unix:///default?socket=/a%FFb", "parameter 'socket' is not valid UTF-8"),
        ("test+unix:///default?=x", "parameter '=x' has no name"),
        ("test+unix:///default?%FF=x", "the name of parameter '%FF=x' is not valid UTF-8"),
        // Hosts and users become arguments of ssh.
        ("test+ssh://-oProxyCommand=x/default", "host '-oProxyCommand=x' is not a name"),
        ("test+ssh://%2Dv/default", "host '-v' is not a name"),
        ("test+ssh://a%20b/default", "host 'a b' is not a name"),
        ("test+ssh://a%2Fb/default", "host 'a/b' is not a name"),
        ("test+ssh://-l@h/default", "user '-l' begins with '-'"),
        ("test+ssh://a%3Bb@h/default", "user 'a;b' has other letters than"),
        ("test+ssh://a%24(b)@h/default", "user 'a$(b)' has other letters than"),
        ("test+ssh://a%0Ab@h/default", "the user has a control character"),
        // Paths.
        ("test:///", "driver 'test' has no connection '/'; there is '/default'"),
        ("test:///other", "driver 'test' has no connection '/other'; there is '/default'"),
        ("test+tcp://h", "driver 'test' has no connection ''; there is '/default'"),
        ("qemu:///", "driver 'qemu' has no connection '/'; there are '/system' and '/session'"),
        ("qemu+ssh://h/default", "driver 'qemu' has no connection '/default'"),
    ] {
        let message = message(text);
        assert!(message.contains(says), "{text}: {message}");
    }
}

#[test]
fn what_the_daemon_is_sent_fits_as_well() {
    let name = "x".repeat(URI_MAX);
    let text = format!("xen+unix:///?name={name}");
    assert!(message(&text).contains("longer than its maximum 4096"));
    // Each of these letters becomes six on the way.
    let text = format!("xen:///{}", "\u{e9}".repeat(1000));
    assert!(message(&text).contains("URI of 6007 bytes"), "{}", message(&text));
}

#[test]
fn an_alias_beats_a_uri_and_what_is_given_beats_the_default() {
    let config = UriConfig::parse(
        r#"
        uri_aliases = ["hail=qemu+ssh://root@hail.example/system", "sleet-2=test:///default"]
        uri_default = "sleet-2"
        "#,
    )
    .unwrap();
    let resolved = |given| config.resolve(given).unwrap().unwrap().remote;
    assert_eq!(resolved(Some("hail")), "qemu:///system");
    assert_eq!(resolved(Some("xen:///")), "xen:///");
    assert_eq!(resolved(None), "test:///default");
    assert_eq!(resolved(Some("")), "test:///default");
    assert!(config.resolve(Some("rain")).is_err());
    assert_eq!(UriConfig::default().resolve(None), Ok(None));
}

#[test]
fn a_mistake_in_the_configuration_is_told_with_its_line() {
    for (text, says) in [
        ("uri_default = 3", "line 1"),
        ("\nuri_defalt = \"x\"", "line 2"),
        ("uri_aliases = [\"hail\"]", "alias 'hail' is not NAME=URI"),
        ("uri_aliases = [\"h l=xen:///\"]", "may have only a-z, A-Z, 0-9, _ and -"),
        ("uri_aliases = [\"=xen:///\"]", "may have only a-z, A-Z, 0-9, _ and -"),
        ("uri_aliases = [\n\"a=xen:///\",\n\"b=xen\"]", "alias 'b': 'xen' is not a URI"),
        ("\nuri_aliases = [\n\"a=xen:///\",\n\"b=xen\"]", "line 2"),
    ] {
        let message = UriConfig::parse(text).unwrap_err().to_string();
        assert!(message.contains(says), "{text}: {message}");
    }
}
