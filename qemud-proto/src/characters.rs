//! Characters that change how the text around them is shown: names have none of them, and what is printed or logged has
//! them escaped.

/// Whether a character moves the cursor, breaks the line, turns the direction of the text around it, or is not seen at all:
/// control characters, separators of lines and paragraphs, Unicode's `Bidi_Control`, and what has no width and joins nothing.
///
/// Characters that join letters (U+200C and U+200D) are none of these: some scripts cannot be written without them.
///
/// # Examples
/// ```
/// use qemud_proto::characters::misleads;
///
/// assert!(misleads('\u{1b}') && misleads('\u{202e}') && misleads('\u{200b}'));
/// assert!(!misleads('ß') && !misleads('א') && !misleads(' ') && !misleads('\u{200d}'));
/// ```
#[must_use]
pub const fn misleads(character: char) -> bool {
    matches!(
        character,
        // Control characters.
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // Separators of lines and paragraphs.
        | '\u{2028}' | '\u{2029}'
        // Directions.
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        // Nothing to be seen.
        | '\u{ad}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// A text of one line in which every such character is written as an escape of Rust.
///
/// # Examples
/// ```
/// assert_eq!(qemud_proto::characters::escaped("a\n\u{202e}b"), "a\\n\\u{202e}b");
/// ```
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if misleads(character) {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}
