use std::collections::BTreeSet;

use clap::CommandFactory;

use super::*;
use crate::Arguments;

const SAMPLE: &str = include_str!("../../../../guestd.toml");

fn parse(text: &str) -> anyhow::Result<Settings> {
    Settings::default().with_text(Path::new("guestd.toml"), text)
}

#[test]
fn the_sample_changes_nothing_and_documents_every_key() {
    assert_eq!(parse(SAMPLE).unwrap(), Settings::default());
    // Each key stands in a line of its own, as a comment that can be taken away.
    let keys: Vec<&str> =
        SAMPLE.lines().filter_map(|line| line.strip_prefix("#")).filter(|line| !line.starts_with(' ')).collect();
    let settings = parse(&keys.join("\n")).unwrap();
    let said: toml::Table = keys.join("\n").parse().unwrap();
    let said: BTreeSet<String> = said.keys().cloned().collect();
    let command = Arguments::command();
    let others = ["help", "version", "config", "check", "generate"];
    let options: BTreeSet<String> = command
        .get_arguments()
        .map(|argument| argument.get_id().to_string())
        .filter(|id| !others.contains(&id.as_str()))
        .collect();
    assert_eq!(said, options);
    // What it says of the defaults is what they are.
    let usual = Settings::default();
    assert_eq!(settings.server(), usual.server());
    assert_eq!((settings.per_peer(), settings.handshakes()), (usual.per_peer(), usual.handshakes()));
    assert_eq!(settings.read_only_mode(), usual.read_only_mode());
    assert_eq!(settings.event_queue(), usual.event_queue());
    assert_eq!(settings.monitor_limit(), usual.monitor_limit());
    assert_eq!(settings.drivers, Some(vec![DriverName::Test, DriverName::Qemu]));
    assert_eq!(settings.log_format, Some(LogFormat::default()));
}

#[test]
fn the_command_line_comes_before_the_file() {
    let given = Settings { max_connections: Some(7), ..Settings::default() };
    let both = given.with_text(Path::new("x"), "max_connections = 9\nevent_queue = 3\n").unwrap();
    assert_eq!((both.max_connections, both.event_queue), (Some(7), Some(3)));
}

#[test]
fn a_mistake_in_the_file_is_told_with_the_file_and_the_line() {
    for (text, says) in [
        ("tcp = \"nowhere\"", "invalid socket address syntax"),
        ("\nmax_conections = 3", "unknown field `max_conections`"),
        ("unix_mode = \"0888\"", "'0888' is not a mode, such as 0660"),
        ("unix_mode = \"1777\"", "'1777' is not a mode, such as 0660"),
        ("max_connections = 0", "max_connections is 0, and must be at least 1"),
        ("save_bandwidth = 0", "save_bandwidth is 0, and must be at least 1"),
        ("max_connections = 70000", "invalid value"),
        ("log_format = \"xml\"", "unknown variant `xml`"),
    ] {
        let message = format!("{:#}", parse(text).unwrap_err());
        assert!(message.starts_with("'guestd.toml'") && message.contains(says), "{text}: {message}");
    }
    assert!(format!("{:#}", parse("\nmax_conections = 3").unwrap_err()).contains("line 2"));
}

#[test]
fn calls_have_ten_minutes_or_what_is_said_and_nothing_means_no_limit() {
    let limit = |text: &str| parse(text).unwrap().server().time_limit;
    assert_eq!(limit(""), Some(Duration::from_secs(600)));
    assert_eq!((limit("time_limit = 30"), limit("time_limit = 0")), (Some(Duration::from_secs(30)), None));
}

#[test]
fn spaces_in_a_name_do_not_make_two_patterns_of_it() {
    use clap::Parser;
    let names = |given: &[&str]| {
        let given = given.iter().flat_map(|name| ["--tls-allowed-name", name]);
        Arguments::try_parse_from(["guestd"].into_iter().chain(given)).unwrap().settings
    };
    // "*" alone would let everybody in.
    let allow = names(&["O=Example *", "O=Other Org,CN=a"]).tls_allow().unwrap();
    assert!(allow.allows_name("O=Example Org") && allow.allows_name("O=Other Org,CN=a"));
    assert!(!allow.allows_name("O=Evil") && !allow.allows_name("Org,CN=a"));
    // A line break is in no subject.
    let several = names(&["O=a b\nO=c d"]).tls_allowed_names;
    assert_eq!(several, Some(vec!["O=a b".to_owned(), "O=c d".to_owned()]));
}

#[test]
fn a_group_may_connect_unless_a_mode_is_given() {
    let mode = |text: &str| parse(text).unwrap().mode();
    assert_eq!((mode(""), mode("unix_group = \"x\"")), (0o600, 0o660));
    assert_eq!(mode("unix_group = \"x\"\nunix_mode = \"0606\""), 0o606);
}
