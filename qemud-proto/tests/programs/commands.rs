//! Every command of guestctl, once for people over a unix socket and once for programs over TCP.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::processes::{Ctl, Guestd, guestctl};

const DOMAIN: &str = "6695eb01-f6a4-8304-79aa-97f2502e193f";
const WEB: &str = "c8e749fe-69e8-4180-9271-f56f6823be96";
const TEST: &str = "6695eb01-f6a4-8304-79aa-97f2502e193f";
const NETWORK: &str = "dd8fe884-6c02-601e-7551-cca97df1c5df";
const LAN: &str = "0b1bd0a4-50d4-4a7c-8b0e-1a1dd0a2f001";

/// A scene, played for people or for programs.
struct Scene {
    ctl: Ctl,
    json: bool,
    daemon: Guestd,
}

/// Plays a scene on a daemon of its own: as text over a unix socket, as JSON over TCP. It uses these commands.
fn play(commands: &[&str], scene: fn(&Scene)) {
    for json in [false, true] {
        let (daemon, uri) = match json {
            false => {
                let daemon = Guestd::start(&[]);
                let uri = daemon.uri();
                (daemon, uri)
            }
            true => {
                let (daemon, address) = Guestd::start_tcp(&[]);
                (daemon, format!("test+tcp://{address}/default"))
            }
        };
        let played = Scene { ctl: Ctl::new(uri), json, daemon };
        scene(&played);
        let used: BTreeSet<_> = commands.iter().map(|&command| (command.to_owned(), json)).collect();
        assert_eq!(played.ctl.used(), used);
    }
}

impl Scene {
    /// A command, and what is to be seen.
    #[track_caller]
    fn shows(&self, arguments: &[&str], text: &str, value: &Value) {
        match self.json {
            true => assert_eq!(self.ctl.json(arguments), *value, "{arguments:?}"),
            false => assert_eq!(self.ctl.text(arguments), format!("{text}\n"), "{arguments:?}"),
        }
    }

    /// The facts that a command tells: names and values for people, an object for programs.
    #[track_caller]
    fn facts(&self, arguments: &[&str]) -> Vec<(String, String)> {
        if self.json {
            let Value::Object(facts) = self.ctl.json(arguments) else { panic!("no object") };
            return facts.into_iter().map(|(name, value)| (name, value.to_string())).collect();
        }
        let fact = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            let (value, unit) = match value.trim().rsplit_once(' ') {
                Some((value, unit @ ("KiB" | "MHz"))) => (value, format!("_{}", unit.to_lowercase())),
                _ => (value.trim(), String::new()),
            };
            (name.to_lowercase().replace(' ', "_").replace("(s)", "s") + &unit, value.to_owned())
        };
        let mut facts: Vec<_> = self.ctl.text(arguments).lines().map(fact).collect();
        facts.sort();
        facts
    }

    fn file(&self, name: &str) -> String {
        self.daemon.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn xml(&self, name: &str, content: &str) -> String {
        let file = self.file(name);
        fs::write(&file, content).unwrap();
        file
    }
}

const HOST: [&str; 5] = ["ping", "version", "nodeinfo", "capabilities", "procedures"];

#[test]
fn commands_about_the_daemon_and_its_machine() {
    play(&HOST, |scene| {
        scene.shows(&["ping"], "The daemon answers", &json!({"answers": true}));
        scene.shows(
            &["version"],
            "Version:        0.1.0\nNumber:         1000",
            &json!({"version": "0.1.0", "number": 1000}),
        );
        let facts = scene.facts(&["nodeinfo"]);
        let names: Vec<_> = facts.iter().map(|(name, _)| name.as_str()).collect();
        let expected = [
            "cores_per_socket",
            "cpu_frequency_mhz",
            "cpu_model",
            "cpu_sockets",
            "cpus",
            "memory_size_kib",
            "numa_cells",
            "threads_per_core",
        ];
        assert_eq!(names, expected);
        assert!(facts[5].1.parse::<u32>().unwrap() > 0, "{facts:?}");
        let xml = match scene.json {
            true => scene.ctl.json(&["capabilities"])["xml"].as_str().unwrap().to_owned(),
            false => scene.ctl.text(&["capabilities"]),
        };
        assert!(roxmltree::Document::parse(&xml).unwrap().root_element().has_tag_name("capabilities"), "{xml}");
        if scene.json {
            let table = scene.ctl.json(&["procedures"]);
            assert_eq!(table.as_array().unwrap().len(), 45);
            assert_eq!(table[40], json!({"number": 41, "name": "DomainEvents", "since": "1.1", "active": true}));
            assert_eq!(table[4], json!({"number": 5, "name": "DomainCreate", "since": "1.0", "active": true}));
        } else {
            let table = scene.ctl.text(&["procedures"]);
            assert_eq!(table.lines().count(), 47);
            assert_eq!(table.lines().next().unwrap(), " Number   Name                   Since   Active");
            assert_eq!(table.lines().nth(6).unwrap(), " 5        DomainCreate           1.0     yes");
        }
    });
}

/// The table of these domains: ids, names and states, of which the names are as wide as they are here.
fn listed(domains: &[(&str, &str, &str)]) -> String {
    let width = domains[0].1.len().max(4);
    let state = domains.iter().map(|(_, _, state)| state.len()).fold(5, usize::max);
    let head = format!(" Id   {:<width$}   State\n{}", "Name", "-".repeat(2 + width + state + 9));
    let lines = domains.iter().map(|(id, name, state)| format!("\n{id}   {:<width$}   {state}", name.trim()));
    std::iter::once(head).chain(lines).collect()
}

const LISTS: [&str; 3] = ["list", "define", "create"];

#[test]
fn domains_are_listed_and_counted_by_their_state() {
    play(&LISTS, |scene| {
        let web = scene.xml("web.xml", &domain("web", WEB));
        let short = scene.xml("short.xml", &domain("short", "a0000000-0000-4000-8000-000000000001"));
        scene.shows(&["define", &web], "Domain 'web' defined", &json!({"uuid": WEB, "name": "web"}));
        let created = json!({"id": 2, "uuid": "a0000000-0000-4000-8000-000000000001", "name": "short"});
        scene.shows(&["create", &short], "Domain 'short' created, id 2", &created);
        let active = [
            json!({"id": 1, "name": "test", "state": "running"}),
            json!({"id": 2, "name": "short", "state": "running"}),
        ];
        let inactive = json!({"id": null, "name": "web", "state": "shut off"});
        scene.shows(&["list"], &listed(&[(" 1 ", "test ", "running"), (" 2 ", "short", "running")]), &json!(active));
        scene.shows(&["list", "--inactive"], &listed(&[(" - ", "web ", "shut off")]), &json!([inactive]));
        scene.shows(
            &["list", "--all"],
            &listed(&[(" 1 ", "test ", "running"), (" 2 ", "short", "running"), (" - ", "web  ", "shut off")]),
            &json!([active[0], active[1], inactive]),
        );
        scene.shows(&["list", "--count"], "Active:         2", &json!({"active": 2}));
        scene.shows(&["list", "--count", "--inactive"], "Inactive:       1", &json!({"inactive": 1}));
        let both = json!({"active": 2, "inactive": 1});
        scene.shows(&["list", "--count", "--all"], "Active:         2\nInactive:       1", &both);
        // For scripts, in which a head would be in the way.
        scene.shows(&["list", "--name"], "test\nshort", &json!(["test", "short"]));
        scene.shows(&["list", "--all", "--name"], "test\nshort\nweb", &json!(["test", "short", "web"]));
        scene.shows(&["list", "--inactive", "--uuid"], WEB, &json!([WEB]));
        let uuids = [TEST, "a0000000-0000-4000-8000-000000000001", WEB];
        scene.shows(&["list", "--all", "--uuid"], &uuids.join("\n"), &json!(uuids));
    });
}

const LIFE: [&str; 18] = [
    "define",
    "start",
    "suspend",
    "resume",
    "save",
    "restore",
    "shutdown",
    "destroy",
    "undefine",
    "dominfo",
    "domjobinfo",
    "domstate",
    "domid",
    "domuuid",
    "domname",
    "dumpxml",
    "autostart",
    "list",
];

#[test]
fn a_domain_lives_through_all_of_its_commands() {
    play(&LIFE, |scene| {
        let (xml, saved) = (domain("web", WEB), scene.file("web.saved"));
        let web = |id: Value| json!({"id": id, "uuid": WEB, "name": "web"});
        let named = json!({"uuid": WEB, "name": "web"});
        scene.shows(&["define", &scene.xml("web.xml", &xml)], "Domain 'web' defined", &named);
        scene.shows(&["domid", "web"], "-", &json!({"id": null}));
        scene.shows(&["dumpxml", "web"], &xml, &json!({"xml": xml}));
        scene.shows(&["start", "web"], "Domain 'web' started, id 2", &web(json!(2)));
        scene.shows(&["domid", "web"], "2", &json!({"id": 2}));
        // Any of the keys will do.
        for key in ["2", "web", WEB, &WEB.to_uppercase(), &WEB.replace('-', "")] {
            scene.shows(&["domuuid", key], WEB, &json!({"uuid": WEB}));
            scene.shows(&["domname", key], "web", &json!({"name": "web"}));
        }
        let live = xml.replace("<domain ", "<domain id='2' ");
        scene.shows(&["dumpxml", "2"], &live, &json!({"xml": live}));
        scene.shows(&["suspend", "web"], "Domain 'web' suspended", &web(json!(2)));
        scene.shows(&["domstate", "web"], "paused", &json!({"state": "paused"}));
        scene.shows(&["resume", WEB], "Domain 'web' resumed", &web(json!(2)));
        scene.shows(&["domstate", "web"], "running", &json!({"state": "running"}));
        let marked = |autostart| json!({"name": "web", "autostart": autostart});
        scene.shows(&["autostart", "web"], "Domain 'web' now starts together with the daemon", &marked(true));
        let facts = scene.facts(&["dominfo", "web"]);
        let value = |name| facts.iter().find(|(fact, _)| fact == name).unwrap().1.trim_matches('"').to_owned();
        assert_eq!([value("id"), value("uuid"), value("name"), value("state")], ["2", WEB, "web", "running"]);
        assert_eq!([value("cpus"), value("max_memory_kib"), value("used_memory_kib")], ["3", "2048", "1024"]);
        match scene.json {
            true => assert!(value("cpu_time_ns").parse::<u64>().unwrap() > 0),
            false => assert!(value("cpu_time").strip_suffix('s').unwrap().parse::<f64>().unwrap() < 1000.0),
        }
        assert_eq!((value("autostart"), facts.len()), (if scene.json { "true" } else { "yes" }.to_owned(), 9));
        scene.shows(
            &["autostart", "web", "--disable"],
            "Domain 'web' no longer starts together with the daemon",
            &marked(false),
        );
        scene.shows(&["save", "web", &saved], &format!("Domain 'web' saved to {saved}"), &web(Value::Null));
        scene.shows(&["domstate", "web"], "shut off", &json!({"state": "shut off"}));
        scene.shows(&["restore", &saved], &format!("Domain restored from {saved}, id 3"), &json!({"id": 3}));
        let idle = json!({
            "job_type": "none", "time_elapsed_ms": 0, "data_total_bytes": 0, "data_processed_bytes": 0,
            "data_remaining_bytes": 0,
        });
        let text = "Job type:       none\nTime elapsed:   0 ms\nData total:     0 bytes\n\
                    Data processed: 0 bytes\nData remaining: 0 bytes";
        scene.shows(&["domjobinfo", "web"], text, &idle);
        scene.shows(&["destroy", "3", "--wait"], "Domain 'web' destroyed", &web(Value::Null));
        scene.shows(&["start", "web", "--wait", "60"], "Domain 'web' started, id 4", &web(json!(4)));
        scene.shows(&["shutdown", "web"], "Domain 'web' is being shut down", &web(json!(4)));
        scene.shows(&["domstate", "web"], "shut off", &json!({"state": "shut off"}));
        scene.shows(&["undefine", "web"], "Domain 'web' undefined", &web(Value::Null));
        let test = json!([{"id": 1, "name": "test", "state": "running"}]);
        scene.shows(&["list", "--all"], &listed(&[(" 1 ", "test", "running")]), &test);
    });
}

const NETWORKS: [&str; 11] = [
    "net-list",
    "net-create",
    "net-define",
    "net-undefine",
    "net-start",
    "net-destroy",
    "net-info",
    "net-uuid",
    "net-name",
    "net-dumpxml",
    "net-autostart",
];

#[test]
fn a_network_lives_through_all_of_its_commands() {
    play(&NETWORKS, |scene| {
        let xml = format!("<network><name>lan</name><uuid>{LAN}</uuid><bridge name='br7'/></network>");
        let file = &scene.xml("lan.xml", &xml);
        let lan = json!({"uuid": LAN, "name": "lan"});
        scene.shows(&["net-create", file], "Network 'lan' created", &lan);
        scene.shows(&["net-destroy", "lan"], "Network 'lan' destroyed", &lan);
        scene.shows(&["net-define", file], "Network 'lan' defined", &lan);
        let line = |name, state, autostart| json!({"name": name, "state": state, "autostart": autostart});
        let inactive = json!([line("lan", "inactive", false)]);
        scene.shows(
            &["net-list", "--inactive"],
            " Name   State      Autostart\n------------------------------\n lan    inactive   no",
            &inactive,
        );
        scene.shows(&["net-start", LAN], "Network 'lan' started", &lan);
        let both = json!([line("default", "active", true), line("lan", "active", false)]);
        let text = " Name      State    Autostart\n-------------------------------\n default   active   yes\n lan       active   no";
        scene.shows(&["net-list", "--all"], text, &both);
        scene.shows(&["net-list"], text, &both);
        scene.shows(&["net-list", "--count"], "Active:         2", &json!({"active": 2}));
        scene.shows(&["net-list", "--name"], "default\nlan", &json!(["default", "lan"]));
        scene.shows(&["net-list", "--all", "--uuid"], &format!("{NETWORK}\n{LAN}"), &json!([NETWORK, LAN]));
        scene.shows(&["net-uuid", "default"], NETWORK, &json!({"uuid": NETWORK}));
        scene.shows(&["net-name", NETWORK], "default", &json!({"name": "default"}));
        scene.shows(&["net-dumpxml", "lan"], &xml, &json!({"xml": xml}));
        let marked = |autostart| json!({"name": "lan", "autostart": autostart});
        scene.shows(&["net-autostart", "lan"], "Network 'lan' now starts together with the daemon", &marked(true));
        let text = [("Name", "lan"), ("UUID", LAN), ("Active", "yes"), ("Autostart", "yes"), ("Bridge", "br7")]
            .map(|(name, value)| format!("{:<15} {value}", format!("{name}:")))
            .join("\n");
        let facts = json!({"uuid": LAN, "name": "lan", "active": true, "autostart": true, "bridge": "br7"});
        scene.shows(&["net-info", "lan"], &text, &facts);
        scene.shows(
            &["net-autostart", "--disable", "lan"],
            "Network 'lan' no longer starts together with the daemon",
            &marked(false),
        );
        scene.shows(&["net-destroy", LAN], "Network 'lan' destroyed", &lan);
        scene.shows(&["net-undefine", "lan"], "Network 'lan' undefined", &lan);
    });
}

/// Tested in `events`: it runs until it is ended.
const EVENTS: [&str; 1] = ["event"];

/// Tested in modules of their names.
const PICTURES: [&str; 2] = ["screenshot", "top"];

/// Tested in `ssh`, `channels` and `completion`: they call no daemon.
const OTHERS: [&str; 2] = ["proxy", "generate"];

#[test]
fn no_command_is_left_out() {
    let help = guestctl(&["--help"]);
    assert_eq!((help.status, help.stderr.as_str()), (0, ""));
    let (_, commands) = help.stdout.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let commands: BTreeSet<_> = commands.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    let tested =
        HOST.iter().chain(&LISTS).chain(&LIFE).chain(&NETWORKS).chain(&EVENTS).chain(&PICTURES).chain(&OTHERS).copied();
    assert_eq!(commands, tested.chain(["help"]).collect());
}

#[test]
fn each_command_has_a_manual_page_of_its_own_which_the_first_one_names() {
    let first = guestctl(&["generate", "man"]).stdout;
    for (command, says) in
        [("shutdown", "\\-\\-wait"), ("screenshot", "\\-\\-force"), ("top", "\\-\\-batch"), ("list", "\\-\\-all")]
    {
        let ended = guestctl(&["generate", "man", command]);
        assert_eq!((ended.status, ended.stderr.as_str()), (0, ""));
        assert!(ended.stdout.contains(&format!(".TH guestctl-{command} 1")), "{}", ended.stdout);
        assert!(ended.stdout.contains(says), "{}", ended.stdout);
        assert!(first.contains(&format!("guestctl\\-{command}(1)")), "{first}");
    }
    for arguments in [["generate", "man", "nothing"], ["generate", "bash", "list"]] {
        let ended = guestctl(&arguments);
        assert!(ended.status == 2 && ended.stdout.is_empty() && ended.stderr.starts_with("error: "), "{ended:?}");
    }
}

#[test]
fn without_a_uri_the_test_host_is_served_inside_the_program() {
    let ended = guestctl(&["domuuid", "test"]);
    assert_eq!((ended.status, ended.stdout.trim_end(), ended.stderr.as_str()), (0, DOMAIN, ""));
}

#[test]
fn a_name_that_looks_like_an_id_or_a_uuid_is_found_as_a_name_last() {
    let daemon = Guestd::start(&[]);
    let ctl = Ctl::new(daemon.uri());
    for name in ["1", "17", DOMAIN, "-1"] {
        let file = daemon.folder.path().join("domain.xml");
        let uuid = qemud_proto::identity::Uuid::random().to_string();
        fs::write(&file, domain(name, &uuid)).unwrap();
        ctl.text(&["define", file.to_str().unwrap()]);
        let found = ctl.text(&["domuuid", "--", name]);
        // An id or a UUID that somebody has comes first.
        let expected = if ["1", DOMAIN].contains(&name) { DOMAIN } else { &uuid };
        assert_eq!(found.trim_end(), expected, "{name}");
    }
}

fn domain(name: &str, uuid: &str) -> String {
    format!(
        "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>2048</memory>\
         <currentMemory>1024</currentMemory><vcpu>3</vcpu><os><type>hvm</type></os></domain>"
    )
}
