//! What each byte means, where the input is cut short.
use xdr_core::{Encode, Xdr, annotate};

#[derive(Xdr)]
struct Greeting {
    #[xdr(max = 80)]
    text: String,
    loud: bool,
}

fn lines(wire: &[u8]) -> Vec<String> {
    annotate(<Greeting as Encode>::schema(), wire).iter().map(ToString::to_string).collect()
}

#[test]
fn a_piece_of_which_no_byte_is_there_has_its_line_as_well() {
    let wire = xdr_core::to_vec(&Greeting { text: "hi".into(), loud: true }).unwrap();
    let missing = |path, count| format!("Greeting.{path}: the input ends, {count} bytes are missing");
    for end in 0..wire.len() {
        let lines = lines(&wire[..end]);
        let (path, count) = match end {
            0..4 => ("text", 4 - end),
            4..8 => ("text", 8 - end),
            _ => ("loud", 12 - end),
        };
        assert!(lines.last().is_some_and(|line| line.ends_with(&missing(path, count))), "{end} bytes: {lines:?}");
        let offset = format!("{:04x}  ", end / 4 * 4);
        assert!(lines.last().is_some_and(|line| line.starts_with(&offset)), "{end} bytes: {lines:?}");
    }
}
