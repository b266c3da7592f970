//! What a key that does not exist may have meant.

/// Names from other crates and from habit, and the key that does the same.
const MEANT: &[(&str, &str)] = &[
    ("maximum", "max"),
    ("max_len", "max"),
    ("max_length", "max"),
    ("maxlen", "max"),
    ("len", "max"),
    ("length", "max"),
    ("limit", "max"),
    ("size", "max"),
    ("items", "item"),
    ("element", "item"),
    ("elements", "item"),
    ("inner", "item"),
    ("ignore", "skip"),
    ("label", "case"),
    ("labels", "case"),
    ("discriminant", "case"),
    ("value", "case"),
    ("fallback", "default"),
    ("unknown", "other"),
    ("discriminator", "switch"),
    ("union", "switch"),
    ("newtype", "transparent"),
    ("typedef", "transparent"),
    ("name", "rename"),
    ("check", "validate"),
    ("crate_path", "crate"),
    ("procedure", "proc"),
    ("proc_num", "proc"),
    ("number", "proc"),
    ("id", "proc"),
    ("prog", "program"),
    ("vers", "version"),
    ("response", "reply"),
    ("returns", "reply"),
    ("output", "reply"),
    ("result", "reply"),
    ("trait", "service"),
    ("name", "service"),
    ("readonly", "read_only"),
    ("timeout", "time_limit"),
    ("deadline", "time_limit"),
];

/// What other crates have a key for, and how it is here.
const INSTEAD: &[(&str, &str)] = &[
    ("rename_all", "each name is given by itself, `rename = \"name\"`"),
    ("flatten", "a struct inside a struct is written in place already"),
    ("untagged", "a union has a discriminant: `switch = u32` above the enum, `case = 1` above its variants"),
    ("content", "an arm of a union holds its data in its fields"),
    ("skip_serializing", "what is not on the wire is so in both directions: `skip`"),
    ("skip_deserializing", "what is not on the wire is so in both directions: `skip`"),
    ("skip_serializing_if", "what may be absent is an `Option<T>`, which XDR sends with a flag"),
    ("optional", "what may be absent is an `Option<T>`"),
    ("serialize_with", "a module converts in both directions: `with = module`"),
    ("deserialize_with", "a module converts in both directions: `with = module`"),
    ("from", "a module converts in both directions: `with = module` above the field"),
    ("into", "a module converts in both directions: `with = module` above the field"),
    ("try_from", "a module converts in both directions: `with = module` above the field"),
    ("deny_unknown_fields", "what does not belong to a message is refused always"),
];

/// The key among `known` that `name` is close to, or close to a word for.
pub(crate) fn meant<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let words = MEANT.iter().filter_map(|(word, key)| Some((*word, known.clone().find(|known| known == key)?)));
    let words = known.clone().map(|key| (key, key)).chain(words);
    let near = words.map(|(word, key)| (distance(name, word), word, key)).min_by_key(|(distance, ..)| *distance);
    near.filter(|(distance, word, _)| *distance <= (word.len() / 3).max(1)).map(|(_, _, key)| key)
}

/// How it is done here, where other crates have this key.
pub(crate) fn instead(name: &str) -> Option<&'static str> {
    INSTEAD.iter().find(|(other, _)| *other == name).map(|(_, instead)| *instead)
}

/// Letters to insert, to delete and to replace; two neighbours changed over count as one.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for (row, letter) in from.chars().enumerate() {
        let mut line = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != *other);
            let mut best = replaced.min(last[column + 1] + 1).min(line[column] + 1);
            if let (Some(previous), Some(before)) = (previous, column.checked_sub(1))
                && previous == *other
                && to[before] == letter
            {
                best = best.min(before_last[before] + 1);
            }
            line.push(best);
        }
        before_last = std::mem::replace(&mut last, line);
        previous = Some(letter);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 5] = ["max", "case", "default", "unbounded", "rename"];

    #[test]
    fn a_slip_of_the_finger_means_the_key_that_is_near() {
        for (slip, key) in
            [("maz", "max"), ("csae", "case"), ("defualt", "default"), ("unbound", "unbounded"), ("lable", "case")]
        {
            assert_eq!(meant(slip, KEYS.into_iter()), Some(key));
        }
    }

    #[test]
    fn a_habit_means_the_key_that_does_the_same() {
        assert_eq!(meant("length", KEYS.into_iter()), Some("max"));
        assert_eq!(meant("length", ["tag"].into_iter()), None);
    }

    #[test]
    fn a_word_that_is_like_none_means_none() {
        assert_eq!(meant("colour", KEYS.into_iter()), None);
        assert_eq!(meant("", KEYS.into_iter()), None);
    }
}
