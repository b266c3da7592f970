//! The whole protocol stays readable at one sitting.

/// Lines of code, documentation and blank lines not counted, that the messages and their table may have.
const MOST: usize = 480;

#[test]
fn the_messages_and_their_table_are_less_than_480_lines() {
    let source = include_str!("../src/messages.rs");
    let code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
    let lines = source.lines().filter(code).count();
    println!("src/messages.rs has {lines} lines of code");
    assert!(lines < MOST, "src/messages.rs has {lines} lines of code, not fewer than {MOST}");
    // Formatted, so that lines cannot be saved by making them long.
    assert!(source.lines().all(|line| line.chars().count() <= 120));
    // And all of it is there: 45 messages with their numbers, 45 lines of the table.
    assert_eq!(source.matches("#[rpc(program = GUEST, version = 1, proc = ").count(), 45);
}
