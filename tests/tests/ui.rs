//! What the compiler says to mistakes in derived types: each message must tell what to write.
//!
//! After a change of the messages, read what `TRYBUILD=overwrite` makes of the `.stderr` files before keeping it.
//! In `ui/types` the compiler also lists types that would fit, so a new one of ours can change a list.
use std::process::Command;

use xdr_tests::foreign_tool::missing;

/// The compiler whose own words are in `ui/types/*.stderr`.
const RUSTC: &str = "rustc 1.95.";

#[test]
fn a_mistake_in_attributes_is_answered_with_what_to_write() {
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}

#[test]
fn a_type_that_does_not_fit_is_answered_at_its_field() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().unwrap().stdout;
    let version = String::from_utf8_lossy(&version);
    if version.starts_with(RUSTC) {
        trybuild::TestCases::new().compile_fail("ui/types/*.rs");
    } else {
        missing(&format!("the messages of {RUSTC}x are not those of {}", version.trim()));
    }
}

#[test]
fn derived_code_takes_no_name_away() {
    trybuild::TestCases::new().pass("ui/pass/*.rs");
}
