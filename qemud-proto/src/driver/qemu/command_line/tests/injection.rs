//! Whatever the XML says is the value of one option, and becomes no other option.

use super::*;
use crate::characters::misleads;

/// Values with everything that means something to QEMU's reading of arguments and options.
const HOSTILE: &[&str] = &[
    "a,b",
    ",",
    ",,",
    "a,",
    "a,,b,,,c",
    "a,readonly=off",
    "a,guest=b,,c",
    "a=b",
    "=",
    "-S",
    "--",
    "-incoming,exec:id",
    "json:{\"driver\":\"null-co\"}",
    "{\"driver\":\"null-co\"}",
    "file:a",
    "fat:rw:a",
    "nbd:unix:/s",
    "a b",
    "a\nb",
    "a\r-S",
    "a\t",
    "'\"\\$(id)`id`;|&",
    "%s%n",
    "é\u{202e}",
];

/// A list of options as QEMU reads it: a value ends at a comma that is not doubled, a key at the first `=`.
fn read_by_qemu(list: &str) -> Vec<(String, String)> {
    let mut options = Vec::new();
    let mut rest = list.chars().peekable();
    while rest.peek().is_some() {
        let mut option = String::new();
        while let Some(letter) = rest.next() {
            if letter == ',' && rest.next_if_eq(&',').is_none() {
                break;
            }
            option.push(letter);
        }
        let (key, value) = option.split_once('=').unwrap_or((&option, ""));
        options.push((key.to_owned(), value.to_owned()));
    }
    options
}

fn escaped(text: &str) -> String {
    let mut escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace('\'', "&apos;");
    for control in ['\n', '\r', '\t'] {
        escaped = escaped.replace(control, &format!("&#{};", u32::from(control)));
    }
    escaped
}

/// The XML with `@` in place of the value, and the option whose list has it under this key.
const LISTS: &[(&str, &str, &str)] = &[
    ("<disk type='file'><source file='/@'/><target dev='vda'/></disk>", "-blockdev", "file.filename"),
    ("<disk type='block'><source dev='/@'/><target dev='hda'/></disk>", "-blockdev", "file.filename"),
    ("<disk type='file' device='cdrom'><source file='/@'/><target dev='sda'/></disk>", "-blockdev", "file.filename"),
    ("<interface type='ethernet'><script path='/@'/></interface>", "-netdev", "script"),
];

fn harmless_and_hostile(xml: &str, value: &str) -> (CommandLine, CommandLine) {
    let [harmless, hostile] = ["x", value].map(|value| line(&xml.replace('@', &escaped(value))));
    assert_eq!(harmless.arguments.len(), hostile.arguments.len(), "{xml}: {value:?}");
    (harmless, hostile)
}

#[test]
fn a_path_in_a_list_of_options_stays_one_value() {
    for (devices, option, key) in LISTS {
        for value in HOSTILE {
            let (harmless, hostile) = harmless_and_hostile(&with_devices(devices), value);
            for (harmless, hostile) in harmless.arguments.iter().zip(&hostile.arguments) {
                let [harmless, hostile] = [harmless, hostile].map(|list| read_by_qemu(list.to_str().unwrap()));
                let changed = |(name, _): &(String, String)| name == key;
                let keys =
                    |options: &[(String, String)]| options.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
                assert_eq!(keys(&harmless), keys(&hostile), "{devices}: {value:?}");
                for (old, new) in harmless.iter().zip(&hostile).filter(|(old, _)| !changed(old)) {
                    assert_eq!(old, new, "{devices}: {value:?}");
                }
            }
            let list = read_by_qemu(only(&hostile, option));
            let found: Vec<_> = list.iter().filter(|(name, _)| name == key).map(|(_, value)| value).collect();
            assert_eq!(found, [&format!("/{value}")], "{devices}: {value:?}");
        }
    }
}

#[test]
fn a_name_stays_one_value() {
    for value in HOSTILE.iter().filter(|value| !value.contains(|letter: char| letter == '/' || misleads(letter))) {
        let xml = domain("", "", "").replace("<name>web", "<name>@");
        let (_, hostile) = harmless_and_hostile(&xml, value);
        let guest = ("guest".to_owned(), (*value).to_owned());
        assert_eq!(read_by_qemu(only(&hostile, "-name")), [guest], "{value:?}");
    }
}

#[test]
fn a_socket_of_the_monitor_stays_one_value() {
    for value in HOSTILE {
        let path = format!("/run/{value}/web");
        let (definition, emulator, bridges) = (parsed(&domain("", "", "")), emulator("x86_64"), BTreeMap::new());
        let launch = Launch {
            definition: &definition,
            id: 1,
            emulator: &emulator,
            monitor: Path::new(&path),
            incoming: false,
            bridges: &bridges,
        };
        let line = command_line(&launch).unwrap();
        let list = read_by_qemu(only(&line, "-chardev"));
        let expected = [("socket", ""), ("id", "monitor"), ("path", &*path), ("server", "on"), ("wait", "off")];
        assert_eq!(list, expected.map(|(key, value)| (key.to_owned(), value.to_owned())), "{value:?}");
    }
}

#[test]
fn what_is_an_argument_of_its_own_follows_its_option_unchanged() {
    for value in HOSTILE {
        let os = "<kernel>/@k</kernel><initrd>/i</initrd><cmdline>@</cmdline>";
        let (_, hostile) = harmless_and_hostile(&domain("", os, ""), value);
        assert_eq!(only(&hostile, "-append"), *value);
        assert_eq!(only(&hostile, "-kernel"), format!("/{value}k"));
        if value.contains(',') {
            continue;
        }
        let os = "<kernel>/k</kernel><initrd>/@i</initrd>";
        let (_, hostile) = harmless_and_hostile(&domain("", os, ""), value);
        assert_eq!(only(&hostile, "-initrd"), format!("/{value}i"));
    }
}

#[test]
fn an_initrd_is_never_a_list_of_files() {
    let os = "<kernel>/k</kernel><initrd>/i,/etc/shadow</initrd>";
    let message = "QEMU may take the initrd '/i,/etc/shadow', which has a comma, for several files";
    assert_eq!(refusal(&domain("", os, "")), message);
}

#[test]
fn a_network_is_looked_up_and_never_written_into_an_argument() {
    for value in HOSTILE {
        let interface = format!("<interface type='network'><source network='{}'/></interface>", escaped(value));
        assert_eq!(refusal(&with_devices(&interface)), format!("no network with the name '{value}' is active"));
    }
}

#[test]
fn variables_of_the_environment_hold_what_they_are_given_and_no_argument_does() {
    for value in HOSTILE {
        let devices = "<graphics type='sdl' display='@' xauth='/@'/>";
        let (harmless, hostile) = harmless_and_hostile(&with_devices(devices), value);
        assert_eq!(harmless.arguments, hostile.arguments);
        let variables = [("DISPLAY", OsString::from(value)), ("XAUTHORITY", OsString::from(format!("/{value}")))];
        assert_eq!(hostile.environment, variables);
    }
}

/// What names things of QEMU or of the kernel may hold no byte that means something to either, nor may a NUL or an entity
/// be smuggled into any value.
#[test]
fn words_and_texts_that_could_mean_more_do_not_become_a_definition() {
    let words = [
        "<graphics type='vnc' keymap='@'/>",
        "<interface type='user'><model type='@'/></interface>",
        "<interface type='bridge'><source bridge='@'/></interface>",
        "<interface type='ethernet'><target dev='@'/></interface>",
        "<graphics type='vnc' listen='@'/>",
        "<graphics type='vnc' port='@'/>",
        "<interface type='user'><mac address='@'/></interface>",
        "<interface type='client'><source address='@' port='1'/></interface>",
        "<disk type='file'><source file='/i'/><target dev='@'/></disk>",
    ];
    let refused = |xml: &str| DomainDefinition::parse(xml, &[DomainType::Qemu]).is_err();
    for value in ["a,b", "127.0.0.1,to=9", "a=b", "a:b", "a/b", "../a", "a b", "a\n", ""] {
        for devices in words {
            let xml = with_devices(&devices.replace('@', &escaped(value)));
            assert!(refused(&xml) || value.is_empty() && devices.contains("port='@'"), "{devices}: {value:?}");
        }
        for attribute in ["arch", "machine"] {
            let kind = format!("<type {attribute}='{}'>", escaped(value));
            assert!(refused(&domain("", "", "").replace("<type>", &kind)), "{attribute}: {value:?}");
        }
    }
    for nul in ["\0", "&#0;", "&#x0;"] {
        for (devices, _, _) in LISTS {
            assert!(refused(&with_devices(&devices.replace('@', nul))), "{devices}: {nul:?}");
        }
        let os = format!("<kernel>/k</kernel><cmdline>{nul}</cmdline>");
        assert!(refused(&domain("", &os, "")), "{nul:?}");
        assert!(refused(&domain("", "", "").replace("web", nul)), "{nul:?}");
    }
    for relative in ["file:/etc/shadow", "-S", "nbd:unix:/s", "a"] {
        let disk = format!("<disk type='file'><source file='{relative}'/><target dev='vda'/></disk>");
        assert!(refused(&with_devices(&disk)), "{relative}");
        assert!(refused(&domain("", &format!("<kernel>{relative}</kernel>"), "")), "{relative}");
    }
}
