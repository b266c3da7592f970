#!/usr/bin/env python3
"""A peer that speaks RPC in TLS by Python's ssl module (OpenSSL).

    tls_peer.py serve --authority PEM --certificate PEM --key PEM
                      [--versions 1.2,1.3] [--start OFFER]

serves one connection on a port of its own, which is the first line on stdout
(`port=NUMBER`). It demands a client certificate. Procedure 0 is answered with
nothing, procedure 1 with the subject of the client's certificate as a string,
of any program and version. With --start the connection begins in clear text
(RFC 9289): the first call has to be the probe, and OFFER is its answer:

    offer         SUCCESS with the verifier STARTTLS
    unavailable   PROG_UNAVAIL with the verifier STARTTLS
    denied        AUTH_ERROR, AUTH_REJECTEDCRED, as who knows nothing of AUTH_TLS
    clear-text    an offer, and clear text behind it in the same segment

What follows the probe is TLS, or after the last two, which are no offer, read
to its end. The last line on stdout is a JSON object: `version`, `protocol` (of
ALPN), `subject`, `procedures` (those called), `clear` (what was sent in clear
text behind the probe, in hex), or `error`.

    tls_peer.py call --port NUMBER --program NUMBER --authority PEM
                     [--certificate PEM --key PEM] [--versions 1.2,1.3]
                     [--ahead PLACE]

is the client of a server on 127.0.0.1 whose certificate is that of `localhost`,
with version 1 of the program. It asks for TLS on procedure 1, which is wrong,
and with the probe; in TLS it calls both procedures, asks both again, and calls
the first once more. With --ahead a call in clear text is sent ahead of the
handshake, in the segment of the probe (PLACE `probe`) or behind the offer
(`offer`). The only line on stdout is a JSON object: `version`, `protocol`,
`subject` (the server's), `replies` (what each call came to, in order), and
`error` where that was the end.
"""

import argparse
import json
import socket
import ssl
import struct

NULL, WHO_AM_I = 0, 1
CALL, REPLY = 0, 1
ACCEPTED, DENIED = 0, 1
SUCCESS, PROG_UNAVAIL, PROC_UNAVAIL = 0, 1, 3
AUTH_ERROR, AUTH_REJECTEDCRED = 1, 2
AUTH_NONE, AUTH_TLS = 0, 7
LAST_FRAGMENT = 1 << 31

# A peer that neither goes on nor closes is a failure, and not for ever.
PATIENCE = 60


def words(*values):
    return struct.pack(f">{len(values)}I", *values)


def opaque(data):
    return words(len(data)) + data + b"\0" * (-len(data) % 4)


def auth(flavor, body):
    return words(flavor) + opaque(body)


class Cursor:
    """Reads a message from its beginning."""

    def __init__(self, data):
        self.data = data

    def take(self, count):
        if count > len(self.data):
            raise ValueError(f"{count} bytes where {len(self.data)} are left")
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def word(self):
        return struct.unpack(">I", self.take(4))[0]

    def opaque(self):
        length = self.word()
        data = self.take(length)
        if any(self.take(-length % 4)):
            raise ValueError("padding that is not zero")
        return data


class Call:
    """A call's header; the arguments are what is left in the cursor."""

    def __init__(self, record):
        cursor = Cursor(record)
        self.xid = cursor.word()
        if (cursor.word(), cursor.word()) != (CALL, 2):
            raise ValueError("no call of RPC version 2")
        self.program, self.version, self.procedure = cursor.word(), cursor.word(), cursor.word()
        self.credential = (cursor.word(), cursor.opaque())
        self.verifier = (cursor.word(), cursor.opaque())
        self.arguments = cursor.data

    @staticmethod
    def bytes_of(xid, program, procedure, flavor):
        header = words(xid, CALL, 2, program, 1, procedure)
        return header + auth(flavor, b"") + auth(AUTH_NONE, b"")

    def accepted(self, status, results=b"", verifier=b""):
        return words(self.xid, REPLY, ACCEPTED) + auth(AUTH_NONE, verifier) + words(status) + results

    def denied(self, status):
        return words(self.xid, REPLY, DENIED, AUTH_ERROR, status)


def outcome(reply, xid):
    """A reply in words."""
    cursor = Cursor(reply)
    if (cursor.word(), cursor.word()) != (xid, REPLY):
        raise ValueError(f"no reply to {xid}")
    if cursor.word() == DENIED:
        return f"denied {cursor.word()} {cursor.word()}"
    flavor, verifier, status = cursor.word(), cursor.opaque(), cursor.word()
    return f"accepted {status} verifier {flavor} {verifier.decode()!r} results {cursor.data!r}"


def exactly(stream, count):
    """That many bytes; fewer where the stream ends."""
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more:
            break
        data += more
    return data


def read_record(stream):
    """A record out of its fragments, or None at the end of the stream."""
    record = b""
    while True:
        header = exactly(stream, 4)
        if not header and not record:
            return None
        if len(header) < 4:
            raise ValueError("the stream ends in a record")
        mark = struct.unpack(">I", header)[0]
        length = mark & ~LAST_FRAGMENT
        fragment = exactly(stream, length)
        if len(fragment) < length:
            raise ValueError("the stream ends in a record")
        record += fragment
        if mark & LAST_FRAGMENT:
            return record


def as_record(message):
    return words(LAST_FRAGMENT | len(message)) + message


def subject_of(certificate):
    short = {"countryName": "C", "organizationName": "O", "commonName": "CN"}
    parts = (part for relative_name in certificate["subject"] for part in relative_name)
    return ",".join(f"{short[kind]}={value}" for kind, value in parts)


VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def context_for(arguments, purpose):
    context = ssl.SSLContext(purpose)
    context.load_verify_locations(arguments.authority)
    if arguments.certificate:
        context.load_cert_chain(arguments.certificate, arguments.key)
    context.verify_mode = ssl.CERT_REQUIRED
    versions = arguments.versions.split(",")
    context.minimum_version, context.maximum_version = VERSIONS[versions[0]], VERSIONS[versions[-1]]
    context.set_alpn_protocols(["sunrpc"])
    return context


def answer_probe(stream, offer):
    """Whether TLS follows."""
    call = Call(read_record(stream))
    probe = (call.procedure, call.credential, call.verifier, call.arguments)
    if probe != (NULL, (AUTH_TLS, b""), (AUTH_NONE, b""), b""):
        raise ValueError(f"no probe: {probe}")
    accepted = as_record(call.accepted(SUCCESS, verifier=b"STARTTLS"))
    if offer == "offer":
        stream.sendall(accepted)
    elif offer == "unavailable":
        stream.sendall(as_record(call.accepted(PROG_UNAVAIL, verifier=b"STARTTLS")))
    elif offer == "denied":
        stream.sendall(as_record(call.denied(AUTH_REJECTEDCRED)))
    elif offer == "clear-text":
        stream.sendall(accepted + as_record(call.accepted(SUCCESS)))
    return offer in ("offer", "unavailable")


def serve(arguments):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(PATIENCE)
    print(f"port={listener.getsockname()[1]}", flush=True)
    stream, _ = listener.accept()
    stream.settimeout(PATIENCE)
    report = {}
    try:
        if arguments.start and not answer_probe(stream, arguments.start):
            clear = b""
            while more := stream.recv(4096):
                clear += more
            report["clear"] = clear.hex()
            return report
        context = context_for(arguments, ssl.PROTOCOL_TLS_SERVER)
        stream = context.wrap_socket(stream, server_side=True)
        report["version"], report["protocol"] = stream.version(), stream.selected_alpn_protocol()
        report["subject"] = subject_of(stream.getpeercert())
        report["procedures"] = []
        while (record := read_record(stream)) is not None:
            call = Call(record)
            report["procedures"].append(call.procedure)
            if call.procedure == NULL:
                reply = call.accepted(SUCCESS)
            elif call.procedure == WHO_AM_I:
                reply = call.accepted(SUCCESS, opaque(report["subject"].encode()))
            else:
                reply = call.accepted(PROC_UNAVAIL)
            stream.sendall(as_record(reply))
    except (OSError, ValueError) as error:
        report["error"] = str(error)
    finally:
        stream.close()
    return report


def call(arguments):
    report = {"replies": []}

    def answer(stream, xid):
        reply = read_record(stream)
        if reply is None:
            raise ValueError("the stream ends instead of a reply")
        report["replies"].append(outcome(reply, xid))

    def as_call(xid, procedure, flavor):
        return as_record(Call.bytes_of(xid, arguments.program, procedure, flavor))

    ahead = as_call(99, NULL, AUTH_NONE)
    try:
        stream = socket.create_connection(("127.0.0.1", arguments.port), timeout=PATIENCE)
        stream.sendall(as_call(1, WHO_AM_I, AUTH_TLS))
        answer(stream, 1)
        stream.sendall(as_call(2, NULL, AUTH_TLS) + (ahead if arguments.ahead == "probe" else b""))
        answer(stream, 2)
        if arguments.ahead == "offer":
            stream.sendall(ahead)
        context = context_for(arguments, ssl.PROTOCOL_TLS_CLIENT)
        stream = context.wrap_socket(stream, server_hostname="localhost")
        report["version"], report["protocol"] = stream.version(), stream.selected_alpn_protocol()
        report["subject"] = subject_of(stream.getpeercert())
        calls = [(NULL, AUTH_NONE), (WHO_AM_I, AUTH_NONE), (NULL, AUTH_TLS), (WHO_AM_I, AUTH_TLS), (NULL, AUTH_NONE)]
        for xid, (procedure, flavor) in enumerate(calls, 3):
            stream.sendall(as_call(xid, procedure, flavor))
            answer(stream, xid)
    except (OSError, ValueError) as error:
        report["error"] = str(error)
    finally:
        stream.close()
    return report


def main():
    parser = argparse.ArgumentParser(description="RPC in TLS by Python's ssl module")
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve")
    serving.add_argument("--start", choices=["offer", "unavailable", "denied", "clear-text"])
    serving.set_defaults(run=serve)
    calling = commands.add_parser("call")
    calling.add_argument("--port", required=True, type=int)
    calling.add_argument("--program", required=True, type=int)
    calling.add_argument("--ahead", choices=["probe", "offer"])
    calling.set_defaults(run=call)
    for command in (serving, calling):
        command.add_argument("--authority", required=True)
        command.add_argument("--certificate")
        command.add_argument("--key")
        command.add_argument("--versions", default="1.2,1.3", help="the lowest and the highest")
    arguments = parser.parse_args()
    print(json.dumps(arguments.run(arguments)), flush=True)


if __name__ == "__main__":
    main()
