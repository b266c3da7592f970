//! What is told to users of the arguments is so.

use super::*;

const GUESTS: &str = include_str!("../../../../../GUESTS.md");

/// The rows of the tables: XML and arguments.
fn rows() -> Vec<(&'static str, &'static str)> {
    let row = |line: &'static str| {
        let (xml, arguments) = line.strip_prefix("| `")?.strip_suffix("` |")?.split_once("` | `")?;
        Some((xml, arguments))
    };
    GUESTS.lines().filter_map(row).collect()
}

/// A definition with this element where it belongs.
fn definition(element: &str) -> String {
    let name = element.trim_start_matches('<').split(['>', ' ', '/']).next().unwrap();
    match name {
        "name" => domain("", "", "").replace("<name>web</name>", element),
        "memory" => domain("", "", "").replace("<memory>65536</memory>", element),
        "type" => domain("", "", "").replace("<type>hvm</type>", element),
        "kernel" | "boot" => domain("", element, ""),
        "disk" | "interface" | "graphics" => with_devices(element),
        _ => domain(element, "", ""),
    }
}

#[test]
fn each_row_of_the_tables_holds() {
    let rows = rows();
    assert_eq!(rows.len(), GUESTS.matches("\n| `").count());
    assert!(rows.len() > 25, "{}", rows.len());
    for (xml, expected) in rows {
        let line = line(&definition(xml));
        let words: Vec<_> = line.arguments.iter().map(|argument| argument.to_str().unwrap()).collect();
        let expected: Vec<_> = expected.split(' ').collect();
        assert!(words.windows(expected.len()).any(|window| window == expected), "{xml}: {expected:?}: {words:?}");
    }
}
