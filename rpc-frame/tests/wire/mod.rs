//! Records and messages written by hand, so that the crate does not check itself with its own encoder.
#![allow(dead_code, reason = "every test file takes what it needs")]

/// A stream of big-endian words.
pub(crate) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A fragment that is not the last of its record.
pub(crate) fn fragment(body: &[u8]) -> Vec<u8> {
    let mark = u32::try_from(body.len()).expect("a short fragment");
    [&mark.to_be_bytes(), body].concat()
}

/// The last fragment of a record, or the whole record.
pub(crate) fn record(body: &[u8]) -> Vec<u8> {
    let mark = u32::try_from(body.len()).expect("a short record") | 0x8000_0000;
    [&mark.to_be_bytes(), body].concat()
}

/// Opaque of variable length, padded.
pub(crate) fn opaque(body: &[u8]) -> Vec<u8> {
    let mut wire = words(&[u32::try_from(body.len()).expect("a short opaque")]);
    wire.extend_from_slice(body);
    wire.resize(wire.len().next_multiple_of(4), 0);
    wire
}

/// A credential or a verifier.
pub(crate) fn auth(flavor: u32, body: &[u8]) -> Vec<u8> {
    [words(&[flavor]), opaque(body)].concat()
}

/// The body of AUTH_SYS.
pub(crate) fn auth_sys(machine: &[u8], gids: usize) -> Vec<u8> {
    let gids: Vec<u32> = (0..u32::try_from(gids).expect("few groups")).collect();
    let count = u32::try_from(gids.len()).expect("few groups");
    [words(&[1]), opaque(machine), words(&[1000, 100, count]), words(&gids)].concat()
}

/// A call, as it goes into a record.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) xid: u32,
    pub(crate) rpcvers: u32,
    pub(crate) program: u32,
    pub(crate) version: u32,
    pub(crate) procedure: u32,
    pub(crate) credential: Vec<u8>,
    pub(crate) verifier: Vec<u8>,
    pub(crate) args: Vec<u8>,
}

impl Call {
    /// A call with AUTH_NONE and no arguments.
    pub(crate) fn new(xid: u32, program: u32, version: u32, procedure: u32) -> Self {
        let nobody = auth(0, b"");
        Self {
            xid,
            rpcvers: 2,
            program,
            version,
            procedure,
            credential: nobody.clone(),
            verifier: nobody,
            args: Vec::new(),
        }
    }

    pub(crate) fn args(mut self, args: Vec<u8>) -> Self {
        self.args = args;
        self
    }

    pub(crate) fn credential(mut self, credential: Vec<u8>) -> Self {
        self.credential = credential;
        self
    }

    pub(crate) fn verifier(mut self, verifier: Vec<u8>) -> Self {
        self.verifier = verifier;
        self
    }

    pub(crate) fn message(&self) -> Vec<u8> {
        let header = words(&[self.xid, 0, self.rpcvers, self.program, self.version, self.procedure]);
        [header, self.credential.clone(), self.verifier.clone(), self.args.clone()].concat()
    }

    pub(crate) fn record(&self) -> Vec<u8> {
        record(&self.message())
    }
}

/// A successful reply, as a record.
pub(crate) fn success(xid: u32, results: &[u8]) -> Vec<u8> {
    record(&[&words(&[xid, 1, 0, 0, 0, 0]), results].concat())
}

/// Bytes as words in hexadecimal, separated by spaces.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let words: Vec<String> =
        bytes.chunks(4).map(|word| word.iter().map(|byte| format!("{byte:02x}")).collect()).collect();
    words.join(" ")
}
