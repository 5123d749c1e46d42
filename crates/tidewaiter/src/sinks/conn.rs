//! Conversations, one a line: for people, or in the words of Zeek's `conn.log` in JSON, so that
//! what reads Zeek reads this: <https://docs.zeek.org/en/master/logs/conn.html>.
//!
//! Beside Zeek's fields: `ja4`, `community_id`, `port` (the capture port), `bursts`,
//! `resp_bytes_after_close`, `flaws`, and of what no protocol claims `orig_likeness` and
//! `resp_likeness`: `text`, `random` or `binary`. Who is behind the capture port is `local_orig`
//! and `local_resp`. `scan` reads all of it back.

use std::io::Write;
use std::net::IpAddr;

use observation::{Flaws, FlowClosed, LocalSide, PortId, Transport};

use super::escape::{defanged_endpoint, escaped};
use super::words;
use crate::timestamp::readable;

/// Appends a record for people.
pub(crate) fn write_row(out: &mut Vec<u8>, flow: &FlowClosed<'_>) {
    let protocols: Vec<_> = flow.protocols.iter().map(|name| escaped(name)).collect();
    let likeness: Vec<_> = flow.likeness.iter().flatten().map(|it| it.name()).collect();
    let lasted_ms = flow.end.since(flow.start).as_millis();
    // Writing to a Vec cannot fail.
    let _ = writeln!(
        out,
        "{}  {:<5} {} > {}  {}  {:>6}  {lasted_ms} ms  sent {} B, received {} B",
        readable(flow.start),
        words::transport(flow.key.transport),
        defanged_endpoint(flow.key.originator),
        defanged_endpoint(flow.key.responder),
        match (protocols.as_slice(), likeness.as_slice()) {
            ([], []) => "-".to_owned(),
            ([], likeness) => format!("({})", likeness.join(",")),
            (protocols, _) => protocols.join(","),
        },
        words::conn_state(flow.state).0,
        flow.originator.payload_bytes,
        flow.responder.payload_bytes,
    );
}

/// Appends one record and its line end.
pub(crate) fn write_conn(out: &mut Vec<u8>, flow: &FlowClosed<'_>) {
    // Writing to a Vec cannot fail.
    let _ = write_fields(out, flow);
    out.extend_from_slice(b"}\n");
}

fn write_fields(out: &mut Vec<u8>, flow: &FlowClosed<'_>) -> std::io::Result<()> {
    let key = &flow.key;
    let micros = flow.start.0 / 1000;
    write!(out, "{{\"ts\":{}.{:06},\"uid\":\"C", micros / 1_000_000, micros % 1_000_000)?;
    write_base62(out, flow.flow.0);
    out.extend_from_slice(b"\",\"id.orig_h\":\"");
    write_address(out, key.originator.address)?;
    write!(out, "\",\"id.orig_p\":{},\"id.resp_h\":\"", key.originator.port)?;
    write_address(out, key.responder.address)?;
    write!(out, "\",\"id.resp_p\":{},\"proto\":\"", key.responder.port)?;
    out.extend_from_slice(proto(key.transport));
    out.push(b'"');
    if !flow.protocols.is_empty() {
        out.extend_from_slice(b",\"service\":\"");
        for (index, name) in flow.protocols.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_text(out, name);
        }
        out.push(b'"');
    }
    let lasted_micros = flow.end.since(flow.start).0 / 1000;
    write!(
        out,
        ",\"duration\":{}.{:06},\"orig_bytes\":{},\"resp_bytes\":{},\"conn_state\":\"{}\"",
        lasted_micros / 1_000_000,
        lasted_micros % 1_000_000,
        flow.originator.payload_bytes,
        flow.responder.payload_bytes,
        words::conn_state(flow.state).0,
    )?;
    out.extend_from_slice(match flow.local {
        LocalSide::Originator => b",\"local_orig\":true,\"local_resp\":false",
        LocalSide::Responder => b",\"local_orig\":false,\"local_resp\":true",
        LocalSide::Unknown => b"",
    });
    // How many bytes are missing is known only when none are.
    if !flow.flaws.has(Flaws::GAP) {
        out.extend_from_slice(b",\"missed_bytes\":0");
    }
    write!(
        out,
        ",\"orig_pkts\":{},\"orig_ip_bytes\":{},\"resp_pkts\":{},\"resp_ip_bytes\":{}",
        flow.originator.packets,
        flow.originator.ip_bytes,
        flow.responder.packets,
        flow.responder.ip_bytes,
    )?;
    write_extras(out, flow)
}

fn write_extras(out: &mut Vec<u8>, flow: &FlowClosed<'_>) -> std::io::Result<()> {
    for (likeness, side) in flow.likeness.into_iter().zip(["orig", "resp"]) {
        if let Some(likeness) = likeness {
            write!(out, ",\"{side}_likeness\":\"{}\"", likeness.name())?;
        }
    }
    if let Some(ja4) = &flow.ja4 {
        out.extend_from_slice(b",\"ja4\":\"");
        write_text(out, ja4);
        out.push(b'"');
    }
    if !flow.community_id.is_empty() {
        out.extend_from_slice(b",\"community_id\":\"");
        write_text(out, &flow.community_id);
        out.push(b'"');
    }
    if flow.key.port != PortId::UNKNOWN {
        write!(out, ",\"port\":{}", flow.key.port.0)?;
    }
    if let Transport::Other(number) = flow.key.transport {
        write!(out, ",\"ip_proto\":{number}")?;
    }
    if flow.burst_count > 0 {
        write!(out, ",\"bursts\":{}", flow.burst_count)?;
    }
    if flow.responder_bytes_after_close > 0 {
        write!(out, ",\"resp_bytes_after_close\":{}", flow.responder_bytes_after_close)?;
    }
    let mut separator: &[u8] = b",\"flaws\":[\"";
    for (flaw, name) in words::FLAWS {
        if flow.flaws.has(*flaw) {
            out.extend_from_slice(separator);
            out.extend_from_slice(name.as_bytes());
            separator = b"\",\"";
        }
    }
    if flow.flaws != Flaws::NONE {
        out.extend_from_slice(b"\"]");
    }
    Ok(())
}

const fn proto(transport: Transport) -> &'static [u8] {
    match transport {
        Transport::Tcp => b"tcp",
        Transport::Udp => b"udp",
        Transport::Icmp => b"icmp",
        Transport::Other(number) => keyword(number),
    }
}

/// IANA's keyword of a protocol that has a number alone; Zeek names none of them, and gives the
/// number elsewhere as well.
const fn keyword(number: u8) -> &'static [u8] {
    match number {
        2 => b"igmp",
        33 => b"dccp",
        41 => b"ipv6",
        47 => b"gre",
        50 => b"esp",
        51 => b"ah",
        88 => b"eigrp",
        89 => b"ospf",
        103 => b"pim",
        112 => b"vrrp",
        115 => b"l2tp",
        132 => b"sctp",
        136 => b"udplite",
        _ => b"unknown_transport",
    }
}

/// An IPv4 address without the formatter's detours: there are two in every record.
fn write_address(out: &mut Vec<u8>, address: IpAddr) -> std::io::Result<()> {
    let IpAddr::V4(address) = address else { return write!(out, "{address}") };
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        if octet >= 100 {
            out.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            out.push(b'0' + octet / 10 % 10);
        }
        out.push(b'0' + octet % 10);
    }
    Ok(())
}

/// Eleven digits hold every 64-bit number.
fn write_base62(out: &mut Vec<u8>, number: u64) {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = [b'0'; 11];
    let mut rest = number;
    for place in digits.iter_mut().rev() {
        *place = DIGITS.get((rest % 62) as usize).copied().unwrap_or(b'0');
        rest /= 62;
    }
    out.extend_from_slice(&digits);
}

/// Text of ours in a JSON string; should a name ever hold anything else, it is escaped.
fn write_text(out: &mut Vec<u8>, text: &str) {
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.push(b'\\');
                out.push(character as u8);
            }
            ' '..='~' => out.push(character as u8),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use formats::zeek::{Reader, Writing};
    use observation::{ConnState, Counts, Endpoint, Fact, FlowId, FlowKey, Likeness, Time};
    use serde_json::Value;

    use super::*;

    fn flow() -> FlowClosed<'static> {
        let end = |address: &str, port| Endpoint { address: address.parse().unwrap(), port };
        FlowClosed {
            flow: FlowId(u64::MAX),
            key: FlowKey {
                port: PortId::UNKNOWN,
                transport: Transport::Tcp,
                originator: end("10.0.0.255", 40000),
                responder: end("2001:db8::1", 443),
            },
            local: LocalSide::Unknown,
            start: Time(1_591_367_999_305_988_999),
            end: Time(1_591_367_999_405_988_999),
            state: ConnState::SF,
            originator: Counts { packets: 3, payload_bytes: 5, ip_bytes: 130 },
            responder: Counts::default(),
            responder_bytes_after_close: 0,
            burst_count: 1,
            protocols: Vec::new(),
            likeness: [None; 2],
            ja4: None,
            community_id: Cow::Borrowed("1:abc="),
            flaws: Flaws::NONE,
        }
    }

    fn read(flow: &FlowClosed<'_>) -> Value {
        let mut out = Vec::new();
        write_conn(&mut out, flow);
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_record_reads_as_zeek_writes_it() {
        let record = read(&flow());
        assert_eq!(record["ts"], 1_591_367_999.305_988);
        assert_eq!(record["uid"], "CLygHa16AHYF");
        assert_eq!(record["id.orig_h"], "10.0.0.255");
        assert_eq!(record["id.resp_h"], "2001:db8::1");
        assert_eq!(record["duration"], 0.1);
        assert_eq!(record["conn_state"], "SF");
        assert_eq!(record["orig_ip_bytes"], 130);
        assert_eq!(record["missed_bytes"], 0);
        for absent in ["service", "ja4", "port", "flaws"] {
            assert!(record.get(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn what_is_known_beyond_zeek_stands_beside_it() {
        let mut flow = flow();
        flow.protocols = vec![Cow::Borrowed("tls"), Cow::Borrowed("h\"2")];
        flow.ja4 = Some(Cow::Borrowed("t13d1516h2_8daaf6152771_b186095e22b6"));
        flow.key.port = PortId(7);
        flow.flaws = Flaws::GAP.with(Flaws::MIDSTREAM);
        let record = read(&flow);
        assert_eq!(record["service"], "tls,h\"2");
        assert_eq!(record["port"], 7);
        assert_eq!(record["flaws"], serde_json::json!(["gap", "midstream"]));
        assert!(record.get("missed_bytes").is_none());
    }

    /// What the reader of Zeek's logs makes of our own record.
    #[test]
    fn what_has_a_number_alone_is_named_beside_it() {
        let mut flow = flow();
        flow.key.transport = Transport::Other(50);
        let record = read(&flow);
        assert_eq!((&record["proto"], &record["ip_proto"]), (&"esp".into(), &50.into()));
        flow.key.transport = Transport::Other(253);
        assert_eq!(read(&flow)["proto"], "unknown_transport");
    }

    fn read_back(flow: &FlowClosed<'_>) -> FlowClosed<'static> {
        let mut out = Vec::new();
        write_conn(&mut out, flow);
        let mut facts = Vec::new();
        let mut reader = Reader::new(Writing::Json);
        reader.line(out.trim_ascii_end(), &mut |seen| facts.push(seen.observation.fact));
        match facts.as_slice() {
            [Fact::FlowClosed(flow)] => flow.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn our_own_record_comes_back_as_it_was() {
        let mut flow = flow();
        // Records have microseconds.
        flow.start = Time(1_591_367_999_305_988_000);
        flow.end = Time(1_591_367_999_405_989_000);
        assert_eq!(read_back(&flow), flow);
        flow.key.transport = Transport::Other(47);
        flow.key.port = PortId::of_host(7);
        flow.local = LocalSide::Responder;
        flow.state = ConnState::RstOS0;
        flow.responder = Counts { packets: u64::MAX, payload_bytes: 0, ip_bytes: 1 << 60 };
        flow.responder_bytes_after_close = 3;
        flow.protocols = vec![Cow::Borrowed("tls"), Cow::Borrowed("mqtt")];
        flow.likeness = [None, Some(Likeness::Random)];
        flow.ja4 = Some(Cow::Borrowed("t13d1516h2_8daaf6152771_b186095e22b6"));
        flow.flaws = Flaws::NAMES.iter().fold(Flaws::NONE, |all, (flaw, _)| all.with(*flaw));
        assert_eq!(read_back(&flow), flow);
    }
}
