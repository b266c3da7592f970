//! Contenders, and the rounds in which they are timed.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::rpcgen::Rpcgen;

/// How long a contender runs in one round.
const BATCH: Duration = Duration::from_micros(20);

/// How often the process that measures C has its turn while a shape is measured.
const BURSTS: u32 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Encode,
    Decode,
}

impl Operation {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Encode => "encode",
            Self::Decode => "decode",
        }
    }
}

/// Whose code it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Ideal,
    Memcpy,
    Peer,
    Libtirpc,
}

/// What is timed.
trait Run {
    /// Does the operation `times` times.
    fn batch(&mut self, times: u32);
    /// The encoded value, or the decoded value encoded again.
    fn bytes(&mut self) -> Vec<u8>;
}

pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) side: Side,
    /// Nanoseconds an operation, one for each round.
    samples: Vec<f64>,
    /// Nothing for what another process measures.
    run: Option<Box<dyn Run>>,
    times: u32,
}

impl Contender {
    fn new(name: &str, side: Side, run: Option<Box<dyn Run>>) -> Self {
        Self { name: name.to_owned(), side, samples: Vec::new(), run, times: 1 }
    }

    /// The median, in nanoseconds an operation.
    pub(crate) fn median(&self) -> f64 {
        let mut samples = self.samples.clone();
        samples.sort_by(f64::total_cmp);
        samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn rounds(&self) -> usize {
        self.samples.len()
    }

    /// Finds how many operations fill a batch.
    fn calibrate(&mut self) {
        let Some(run) = &mut self.run else { return };
        run.batch(2);
        loop {
            let begun = Instant::now();
            run.batch(self.times);
            let elapsed = begun.elapsed();
            if elapsed >= BATCH {
                let wanted = f64::from(self.times) * BATCH.as_secs_f64() / elapsed.as_secs_f64();
                // No shape is so long that fewer operations would do.
                self.times = (wanted.ceil() as u32).max(4);
                return;
            }
            self.times *= 2;
        }
    }

    fn sample(&mut self) {
        let Some(run) = &mut self.run else { return };
        // What the contender before left in the caches is not this one's fault.
        run.batch(1);
        let begun = Instant::now();
        run.batch(self.times);
        let elapsed = begun.elapsed();
        self.samples.push(elapsed.as_secs_f64() * 1e9 / f64::from(self.times));
    }
}

/// One operation of one shape, and all who do it.
pub(crate) struct Group {
    pub(crate) shape: &'static str,
    pub(crate) operation: Operation,
    pub(crate) contenders: Vec<Contender>,
}

impl Group {
    pub(crate) const fn new(shape: &'static str, operation: Operation) -> Self {
        Self { shape, operation, contenders: Vec::new() }
    }

    /// An encoder that writes to the front of a slice of `len` bytes and returns how many it wrote.
    pub(crate) fn slice_encoder(
        &mut self,
        side: Side,
        name: &str,
        len: usize,
        write: impl FnMut(&mut [u8]) -> usize + 'static,
    ) {
        self.push(name, side, IntoSlice { write, space: vec![0; len] });
    }

    /// An encoder that writes into a cleared vector.
    #[cfg_attr(not(feature = "peers"), expect(dead_code))]
    pub(crate) fn vec_encoder(&mut self, side: Side, name: &str, write: impl FnMut(&mut Vec<u8>) + 'static) {
        self.push(name, side, IntoVec { write, buffer: Vec::new() });
    }

    /// An encoder that makes a new buffer.
    pub(crate) fn new_encoder(&mut self, side: Side, name: &str, make: impl FnMut() -> Vec<u8> + 'static) {
        self.push(name, side, ToNew { make });
    }

    /// A decoder, as [`decoder!`] makes it: so many times in a row, and once with its result encoded again.
    pub(crate) fn decoder(
        &mut self,
        side: Side,
        name: &str,
        batch: impl FnMut(u32) + 'static,
        once: impl FnMut() -> Vec<u8> + 'static,
    ) {
        self.push(name, side, Decoder { batch, once });
    }

    fn push(&mut self, name: &str, side: Side, run: impl Run + 'static) {
        self.contenders.push(Contender::new(name, side, Some(Box::new(run))));
    }

    /// Checks that all agree, and measures for about `time`.
    pub(crate) fn run(&mut self, time: Duration, rpcgen: Option<&Rpcgen>) {
        let expected = self.check();
        if let Some(rpcgen) = rpcgen {
            let bytes = rpcgen.bytes(self.shape);
            assert!(bytes == expected, "{} by libtirpc differs", self.shape);
            self.contenders.push(Contender::new("libtirpc", Side::Libtirpc, None));
        }
        self.contenders.iter_mut().for_each(Contender::calibrate);
        let begun = Instant::now();
        let mut bursts = 0;
        let mut round = 0;
        while begun.elapsed() < time {
            let first = round % self.contenders.len();
            let (behind, front) = self.contenders.split_at_mut(first);
            front.iter_mut().chain(behind).for_each(Contender::sample);
            round += 1;
            if begun.elapsed() >= time * bursts / BURSTS {
                bursts += 1;
                self.burst(rpcgen, time / BURSTS);
            }
        }
    }

    /// The other process takes the share of one contender.
    fn burst(&mut self, rpcgen: Option<&Rpcgen>, time: Duration) {
        let share = time / u32::try_from(self.contenders.len()).unwrap_or(u32::MAX);
        let libtirpc = self.contenders.iter_mut().find(|contender| contender.side == Side::Libtirpc);
        if let (Some(rpcgen), Some(contender)) = (rpcgen, libtirpc) {
            contender.samples.extend(rpcgen.burst(self.shape, self.operation, BATCH, share));
        }
    }

    fn check(&mut self) -> Vec<u8> {
        let (shape, operation) = (self.shape, self.operation.name());
        let mut expected: Option<Vec<u8>> = None;
        for contender in &mut self.contenders {
            // Memcpy copies, it does not encode.
            let Some(run) = contender.run.as_mut().filter(|_| contender.side != Side::Memcpy) else { continue };
            let bytes = run.bytes();
            match &expected {
                Some(expected) => assert!(bytes == *expected, "{shape} {operation} by {} differs", contender.name),
                None => expected = Some(bytes),
            }
        }
        expected.unwrap_or_default()
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Contender> {
        self.contenders.iter().find(|contender| contender.name == name)
    }

    /// The fastest of a side.
    pub(crate) fn best(&self, side: Side) -> Option<&Contender> {
        let of_side = self.contenders.iter().filter(|contender| contender.side == side);
        of_side.min_by(|one, other| one.median().total_cmp(&other.median()))
    }
}

struct IntoSlice<F> {
    write: F,
    space: Vec<u8>,
}

impl<F: FnMut(&mut [u8]) -> usize> Run for IntoSlice<F> {
    fn batch(&mut self, times: u32) {
        for _ in 0..times {
            let written = (self.write)(black_box(&mut self.space));
            black_box(written);
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        // Padding has to be written.
        self.space.fill(0xff);
        let written = (self.write)(&mut self.space);
        self.space[..written].to_vec()
    }
}

struct IntoVec<F> {
    write: F,
    buffer: Vec<u8>,
}

impl<F: FnMut(&mut Vec<u8>)> Run for IntoVec<F> {
    fn batch(&mut self, times: u32) {
        for _ in 0..times {
            let buffer = black_box(&mut self.buffer);
            buffer.clear();
            (self.write)(buffer);
            black_box(buffer);
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        self.batch(1);
        self.buffer.clone()
    }
}

struct ToNew<F> {
    make: F,
}

impl<F: FnMut() -> Vec<u8>> Run for ToNew<F> {
    fn batch(&mut self, times: u32) {
        for _ in 0..times {
            black_box((self.make)());
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        (self.make)()
    }
}

struct Decoder<F, G> {
    batch: F,
    once: G,
}

impl<F: FnMut(u32), G: FnMut() -> Vec<u8>> Run for Decoder<F, G> {
    fn batch(&mut self, times: u32) {
        (self.batch)(times);
    }

    fn bytes(&mut self) -> Vec<u8> {
        (self.once)()
    }
}

/// Adds a decoder to a group: an expression that decodes, and a function that encodes its value again.
///
/// The expression stands in the loop itself. Were it a closure that the compiler does not inline, the value would be
/// written and copied, and the copy would cost more than decoding a small struct.
macro_rules! decoder {
    ($group:expr, $side:expr, $name:expr, $decode:expr, $encode:expr) => {
        $group.decoder(
            $side,
            $name,
            move |times| {
                for _ in 0..times {
                    ::std::hint::black_box($decode);
                }
            },
            move || ($encode)(&$decode),
        )
    };
}
pub(crate) use decoder;
