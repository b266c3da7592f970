//! What to measure, and how long.

use std::time::Duration;

pub(crate) struct Arguments {
    pub(crate) time: Duration,
    pub(crate) lines: bool,
    shapes: Vec<String>,
}

impl Arguments {
    pub(crate) fn read() -> Self {
        let lines = std::env::var_os("CODEC_BENCH_LINES").is_some_and(|value| value == "1");
        let mut read = Self { time: Duration::from_secs(75), lines, shapes: Vec::new() };
        let mut given = std::env::args().skip(1);
        while let Some(argument) = given.next() {
            match argument.as_str() {
                // What cargo adds.
                "--bench" => {}
                "--quick" => read.time = Duration::from_secs(12),
                "--lines" => read.lines = true,
                "--seconds" => match given.next().and_then(|seconds| seconds.parse().ok()) {
                    Some(seconds) => read.time = Duration::from_secs(seconds),
                    None => fail("--seconds takes a number"),
                },
                shape if !shape.starts_with('-') => read.shapes.push(shape.to_uppercase()),
                _ => fail("arguments: [--quick] [--seconds N] [--lines] [SHAPE …]"),
            }
        }
        read
    }

    /// Whether a shape is to be measured: it was named, or its number was, or none was.
    pub(crate) fn wants(&self, shape: &str) -> bool {
        self.shapes.is_empty()
            || self.shapes.iter().any(|wanted| shape.trim_end_matches(['L', 'R']) == *wanted || shape == wanted)
    }
}

fn fail(why: &str) -> ! {
    eprintln!("{why}");
    std::process::exit(2);
}
