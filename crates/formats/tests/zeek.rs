//! Zeek's logs: what their rows say, in both forms of writing, and what damage does to them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "clippy takes only #[test] functions for tests, not what they call"
)]

use formats::zeek::{Kind, Reader, Seen, Writing};
use formats::{Format, Parsed, Reason, detect};
use observation::{
    ConnState, Counts, DetailKind, DnsAnswer, DnsData, Fact, Flaws, FlowClosed, FlowId, Handshake,
    LocalSide, Side, Time, Transport,
};

const CONN: &str = concat!(
    r#"{"ts":1764338400.123456,"uid":"CXWv6p3arKYeMETxOg","id.orig_h":"172.18.0.5","#,
    r#""id.orig_p":40512,"id.resp_h":"198.51.100.7","id.resp_p":443,"proto":"tcp","#,
    r#""service":"ssl","duration":2.5,"orig_bytes":812,"resp_bytes":5100,"conn_state":"SF","#,
    r#""local_orig":true,"local_resp":false,"missed_bytes":0,"history":"ShADadFf","#,
    r#""orig_pkts":9,"orig_ip_bytes":1300,"resp_pkts":8,"resp_ip_bytes":5500,"#,
    r#""community_id":"1:abc="}"#,
);
const DNS: &str = concat!(
    r#"{"ts":1764338400.0,"uid":"CmES5u32sYpV7JYN","id.orig_h":"172.18.0.5","#,
    r#""id.orig_p":33001,"id.resp_h":"10.96.0.10","id.resp_p":53,"proto":"udp","#,
    r#""trans_id":7,"rtt":0.004,"query":"API.Vendor.example","qtype":1,"qtype_name":"A","#,
    r#""rcode":0,"answers":["cdn.example","198.51.100.7"],"TTLs":[300.0,30.0]}"#,
);

fn read(writing: Writing, lines: &str) -> (Vec<Seen>, Vec<Parsed>) {
    read_bytes(writing, lines.as_bytes())
}

fn read_bytes(writing: Writing, lines: &[u8]) -> (Vec<Seen>, Vec<Parsed>) {
    let (mut seen, mut parsed) = (Vec::new(), Vec::new());
    let mut reader = Reader::new(writing);
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        parsed.extend(reader.line(line, &mut |row| seen.push(row)));
    }
    (seen, parsed)
}

fn facts(writing: Writing, lines: &str) -> Vec<Fact<'static>> {
    let (seen, parsed) = read(writing, lines);
    assert!(parsed.iter().all(|parsed| *parsed == Parsed::Understood), "{parsed:?}");
    seen.into_iter().map(|seen| seen.observation.fact).collect()
}

fn closed(line: &str) -> FlowClosed<'static> {
    match facts(Writing::Json, line).remove(0) {
        Fact::FlowClosed(closed) => closed,
        other => panic!("{other:?}"),
    }
}

/// The same rows in columns.
fn columns(path: &str, fields: &str, types: &str, rows: &[&str]) -> String {
    let head = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n";
    let tabs = |text: &str| text.replace(' ', "\t");
    let rows = rows.iter().map(|row| tabs(row)).collect::<Vec<_>>().join("\n");
    format!(
        "{head}#path\t{path}\n#open\t2025\n#fields\t{}\n#types\t{}\n{rows}\n#close\t2025\n",
        tabs(fields),
        tabs(types)
    )
}

fn conn_columns() -> String {
    columns(
        "conn",
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto service duration orig_bytes \
         resp_bytes conn_state local_orig local_resp missed_bytes history orig_pkts \
         orig_ip_bytes resp_pkts resp_ip_bytes tunnel_parents community_id",
        "time string addr port addr port enum string interval count count string bool bool count \
         string count count count count set[string] string",
        &["1764338400.123456 CXWv6p3arKYeMETxOg 172.18.0.5 40512 198.51.100.7 443 tcp ssl \
           2.500000 812 5100 SF T F 0 ShADadFf 9 1300 8 5500 (empty) 1:abc="],
    )
}

fn dns_columns() -> String {
    columns(
        "dns",
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto trans_id rtt query qtype rcode \
         answers TTLs",
        "time string addr port addr port enum count interval string count count vector[string] \
         vector[interval]",
        &["1764338400.000000 CmES5u32sYpV7JYN 172.18.0.5 33001 10.96.0.10 53 udp 7 0.004000 \
           api.vendor.example 1 0 cdn.example,198.51.100.7 300.000000,30.000000"],
    )
}

#[test]
fn a_conn_row_is_a_whole_flow() {
    let flow = closed(CONN);
    assert_eq!(flow.start, Time(1_764_338_400_123_456_000));
    assert_eq!(flow.end, Time(1_764_338_402_623_456_000));
    assert_eq!(flow.state, ConnState::SF);
    assert_eq!(flow.local, LocalSide::Originator);
    assert_eq!(flow.key.transport, Transport::Tcp);
    assert_eq!(
        (flow.key.responder.address.to_string().as_str(), flow.key.responder.port),
        ("198.51.100.7", 443)
    );
    assert_eq!(flow.originator, Counts { packets: 9, payload_bytes: 812, ip_bytes: 1300 });
    assert_eq!(flow.protocols, ["tls"]);
    assert_eq!(flow.community_id, "1:abc=");
    assert_eq!(flow.flaws, Flaws::NONE);
}

#[test]
fn columns_say_the_same_as_json() {
    assert_eq!(facts(Writing::Tsv, &conn_columns()), facts(Writing::Json, CONN));
    assert_eq!(facts(Writing::Tsv, &dns_columns()), facts(Writing::Json, DNS));
}

#[test]
fn a_lookup_opens_its_flow_and_is_told_when_it_is_answered() {
    let (seen, _) = read(Writing::Json, DNS);
    let [opened, said] = seen.as_slice() else { panic!("{seen:?}") };
    let Fact::FlowOpened(fact) = &opened.observation.fact else { panic!("{opened:?}") };
    assert_eq!(fact.key.transport, Transport::Udp);
    assert_eq!(said.observation.at, Time(1_764_338_400_004_000_000));
    let Fact::Dns(dns) = &said.observation.fact else { panic!("{said:?}") };
    assert_eq!(
        (dns.name.as_ref(), dns.query_type, dns.response_code),
        ("api.vendor.example", 1, Some(0))
    );
    let address = DnsData::Address([198, 51, 100, 7].into());
    assert_eq!(
        dns.answers,
        [
            DnsAnswer { ttl_s: 300, data: DnsData::Name("cdn.example".into()) },
            DnsAnswer { ttl_s: 30, data: address },
        ]
    );
    assert_eq!(opened.row, said.row);
}

#[test]
fn rows_of_one_uid_are_of_one_flow_whatever_their_log_and_time() {
    let conn = CONN.replace("CXWv6p3arKYeMETxOg", "CmES5u32sYpV7JYN");
    let conn = conn.replace("40512", "33001").replace("198.51.100.7", "10.96.0.10");
    let conn = conn.replace(r#""id.resp_p":443,"proto":"tcp""#, r#""id.resp_p":53,"proto":"udp""#);
    let (seen, _) = read(Writing::Json, &format!("{DNS}\n{conn}"));
    let flows: Vec<FlowId> = seen.iter().map(|seen| seen.observation.flow()).collect();
    assert_eq!(seen.last().unwrap().kind, Kind::Conn);
    assert!(flows.iter().all(|flow| *flow == flows[0]), "{flows:?}");
    let (other, _) = read(Writing::Json, &DNS.replace("33001", "33002"));
    assert_ne!(
        other[0].observation.flow(),
        flows[0],
        "a uid that is counted up from the beginning"
    );
}

#[test]
fn the_same_row_is_known_again_and_another_is_not() {
    let row = |line: &str| read(Writing::Json, line).0[0].row;
    assert_eq!(row(CONN), read(Writing::Tsv, &conn_columns()).0[0].row);
    assert_ne!(row(CONN), row(&CONN.replace(".123456", ".123457")));
    assert_ne!(row(DNS), row(&DNS.replace(r#""trans_id":7"#, r#""trans_id":8"#)));
    assert_ne!(row(DNS), row(&DNS.replace("API", "WWW")));
}

#[test]
fn bytes_that_zeek_did_not_count_are_at_most_what_ip_carried() {
    let silent = closed(&CONN.replace(r#""orig_bytes":812,"#, ""));
    assert_eq!(silent.originator.payload_bytes, 1300 - 9 * 40);
    let negative = closed(&CONN.replace(r#""orig_bytes":812"#, r#""orig_bytes":-1"#));
    assert_eq!(negative.originator.payload_bytes, 1300 - 9 * 40);
}

#[test]
fn flaws_of_the_history() {
    let flaws = |from: &str, to: &str| closed(&CONN.replace(from, to)).flaws;
    assert_eq!(flaws(r#""missed_bytes":0"#, r#""missed_bytes":20"#), Flaws::GAP);
    assert_eq!(flaws("ShADadFf", "DadFf"), Flaws::MIDSTREAM);
    assert_eq!(flaws("ShADadFf", "ShADadgFf"), Flaws::GAP);
    assert_eq!(flaws("ShADadFf", "ShADadCcFf"), Flaws::NONE, "a card computes checksums later");
}

#[test]
fn a_service_that_was_violated_is_none() {
    let protocols =
        |service: &str| closed(&CONN.replace(r#""ssl""#, &format!("\"{service}\""))).protocols;
    assert_eq!(protocols("http,-ssl"), ["http"]);
    assert_eq!(protocols("krb_tcp"), ["kerberos"]);
    assert_eq!(protocols("spicy_Thing"), ["spicy_thing"]);
    assert_eq!(protocols(""), [""; 0]);
}

#[test]
fn names_hold_any_byte() {
    let name = |query: &str| match &read(Writing::Json, &DNS.replace("API.Vendor.example", query)).0
        [1]
    .observation
    .fact
    {
        Fact::Dns(dns) => dns.name.clone().into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(name(r"a\\xffb\\x00.example."), r"a\255b\000.example");
    assert_eq!(name(r"\u00e9"), r"\195\169");
    assert_eq!(name("_ldap._tcp.a"), "_ldap._tcp.a");
    assert!(name(&"\\\\xff".repeat(10_000)).len() <= 1024);
}

#[test]
fn a_txt_answer_is_its_size() {
    let line = DNS.replace(r#""qtype":1"#, r#""qtype":16"#);
    let line = line.replace(r#""cdn.example""#, r#""TXT 18 302f017537c68f5169""#);
    let facts = facts(Writing::Json, &line);
    let Fact::Dns(dns) = &facts[1] else { panic!("{facts:?}") };
    assert_eq!(dns.answers[0].data, DnsData::Other(16, 19));
}

#[test]
fn a_name_of_the_type_will_do() {
    let line = DNS.replace(r#""qtype":1,"#, "").replace(r#""A""#, r#""TXT""#);
    let line = line.replace(r#""rcode":0"#, r#""rcode_name":"NXDOMAIN""#);
    let facts = facts(Writing::Json, &line);
    let Fact::Dns(dns) = &facts[1] else { panic!("{facts:?}") };
    assert_eq!((dns.query_type, dns.response_code), (16, Some(3)));
}

#[test]
fn http_and_tls_and_ssh_rows_say_what_their_protocol_said() {
    let head = concat!(
        r#"{"ts":1764338400.0,"uid":"C1","id.orig_h":"10.0.0.1","id.orig_p":40000,"#,
        r#""id.resp_h":"10.0.0.2","id.resp_p":8080"#,
    );
    let http = format!(
        r#"{head},"trans_depth":2,"method":"POST","host":"a.example","uri":"/x","version":"1.1","user_agent":"u","request_body_len":5,"response_body_len":7,"status_code":200,"resp_mime_types":["text/html"]}}"#
    );
    let found = facts(Writing::Json, &http);
    let Fact::Http(exchange) = &found[1] else { panic!("{found:?}") };
    assert_eq!((exchange.method.as_ref(), exchange.status, exchange.version), ("POST", 200, 11));
    assert_eq!((exchange.request_body_bytes, exchange.response_body_bytes), (5, 7));
    let ssl = format!(
        r#"{head},"version":"TLSv12","cipher":"x","server_name":"a.example","resumed":false,"established":true,"cert_chain_fps":["1","2"],"subject":"CN=a","issuer":"CN=b"}}"#
    );
    let found = facts(Writing::Json, &ssl);
    let (Fact::TlsHello(hello), Fact::TlsSession(session)) = (&found[1], &found[2]) else {
        panic!("{found:?}")
    };
    assert_eq!(hello.server_name, "a.example");
    assert_eq!((session.outcome, session.version), (Handshake::Completed, 0x0303));
    let certificate = session.certificate.as_ref().unwrap();
    assert_eq!((certificate.subject.as_ref(), certificate.chain_count), ("CN=a", 2));
    let ssh = format!(
        r#"{head},"version":2,"auth_success":true,"auth_attempts":1,"client":"SSH-2.0-x","server":"SSH-2.0-y","kex_alg":"k","host_key_alg":"h","cipher_alg":"c"}}"#
    );
    let details: Vec<_> = facts(Writing::Json, &ssh)
        .into_iter()
        .filter_map(|fact| match fact {
            Fact::Detail(detail) => Some((detail.kind, detail.side, detail.value.into_owned())),
            _ => None,
        })
        .collect();
    assert_eq!(
        details,
        [
            (DetailKind::Software, Side::Originator, "SSH-2.0-x".to_owned()),
            (DetailKind::Software, Side::Responder, "SSH-2.0-y".to_owned()),
            (DetailKind::Agreement, Side::Responder, "k,h,c".to_owned()),
            (DetailKind::Handshake, Side::Responder, "newkeys".to_owned()),
        ]
    );
}

#[test]
fn what_zeek_did_not_see_is_a_gap() {
    let loss =
        r#"{"ts":100.0,"ts_delta":60.0,"peer":"zeek","gaps":12,"acks":358,"percent_lost":3.4}"#;
    let found = facts(Writing::Json, loss);
    let Fact::Gap(gap) = &found[0] else { panic!("{found:?}") };
    assert_eq!(
        (gap.from, gap.to, gap.lost_count),
        (Time(40_000_000_000), Time(100_000_000_000), 12)
    );
    let (seen, parsed) = read(Writing::Json, &loss.replace(r#""gaps":12"#, r#""gaps":0"#));
    assert!(seen.is_empty() && parsed == [Parsed::Unused]);
}

#[test]
fn a_header_may_change_in_the_middle_of_a_file() {
    let both = format!("{}{}", conn_columns(), dns_columns());
    let (seen, parsed) = read(Writing::Tsv, &both);
    assert_eq!(parsed, [Parsed::Understood; 2]);
    assert_eq!(
        seen.iter().map(|seen| seen.kind).collect::<Vec<_>>(),
        [Kind::Conn, Kind::Dns, Kind::Dns]
    );
    let other = conn_columns().replace("\\x09", "|").replace('\t', "|");
    assert_eq!(facts(Writing::Tsv, &other), facts(Writing::Json, CONN), "another separator");
}

#[test]
fn a_label_in_the_last_column_changes_nothing() {
    let labelled = conn_columns()
        .replace("community_id\n", "community_id\tlabel\tdetailedlabel\n")
        .replace("set[string]\tstring\n", "set[string]\tstring\tstring\tstring\n")
        .replace("1:abc=\n", "1:abc=\tMalicious\tC&C\n");
    assert_eq!(facts(Writing::Tsv, &labelled), facts(Writing::Json, CONN));
}

#[test]
fn a_file_may_hold_several_logs() {
    let weird =
        r#"{"ts":1764338400.0,"uid":"C1","name":"bad_TCP_checksum","notice":false,"peer":"zeek"}"#;
    let (seen, parsed) = read(Writing::Json, &format!("{CONN}\n{DNS}\n{weird}\n{CONN}"));
    let expected = [Parsed::Understood, Parsed::Understood, Parsed::Unused, Parsed::Understood];
    assert_eq!(parsed, expected);
    assert_eq!(seen.len(), 4);
}

#[test]
fn damage_is_counted_and_the_neighbours_are_right() {
    let good = facts(Writing::Json, CONN);
    let cases: [(&str, String, Reason); 8] = [
        ("cut short", CONN[..200].to_owned(), Reason::NotJson),
        ("an array for text", CONN.replace(r#""ssl""#, "[1]"), Reason::NotJson),
        ("text for a number", CONN.replace("40512", r#""x""#), Reason::NotJson),
        (
            "a port beyond 65535",
            CONN.replace("40512", "70000"),
            Reason::Missing("id.orig_h, id.orig_p"),
        ),
        ("no time", CONN.replace("1764338400.123456", "-5"), Reason::BadTime),
        ("a number beyond all", CONN.replace("1764338400.123456", "1e400"), Reason::NotJson),
        ("no transport", CONN.replace(r#""proto":"tcp","#, ""), Reason::Missing("proto")),
        ("NUL bytes", "\0".repeat(300), Reason::NotJson),
    ];
    for (what, bad, reason) in cases {
        let (seen, parsed) = read(Writing::Json, &format!("{CONN}\n{bad}\n{CONN}"));
        let expected = [Parsed::Understood, Parsed::NotUnderstood(reason), Parsed::Understood];
        assert_eq!(parsed, expected, "{what}");
        let found: Vec<_> = seen.into_iter().map(|seen| seen.observation.fact).collect();
        assert_eq!(found, [good.clone(), good.clone()].concat(), "{what}");
    }
}

#[test]
fn damage_in_columns_is_counted_and_the_neighbours_are_right() {
    let good = conn_columns();
    let row = good.lines().find(|line| line.starts_with("1764")).unwrap();
    for (bad, reason) in [
        (row[..60].to_owned(), Reason::Columns),
        (format!("{row}\t1"), Reason::Columns),
        (row.replace("40512", "x"), Reason::BadValue),
        (row.replace("172.18.0.5", "172.18.0"), Reason::BadValue),
        (row.replace("1764338400.123456", "never"), Reason::BadTime),
    ] {
        let (seen, parsed) =
            read(Writing::Tsv, &good.replace(row, &format!("{row}\n{bad}\n{row}")));
        let expected = [Parsed::Understood, Parsed::NotUnderstood(reason), Parsed::Understood];
        assert_eq!((parsed.as_slice(), seen.len()), (expected.as_slice(), 2), "{bad}");
    }
    let headless = good.lines().last().unwrap().to_owned() + "\n" + row;
    assert_eq!(
        read(Writing::Tsv, &headless).1,
        [Parsed::NotUnderstood(Reason::Missing("#fields"))]
    );
}

#[test]
fn bytes_that_are_no_text_cost_a_name_and_not_the_row() {
    let mut line = DNS.as_bytes().to_vec();
    let at = DNS.find("API").unwrap();
    line[at] = 0xff;
    let (seen, parsed) = read_bytes(Writing::Json, &line);
    assert_eq!((seen.len(), parsed.as_slice()), (2, &[Parsed::Understood][..]));
}

#[test]
fn times_of_1970_and_2100_are_times() {
    for (text, seconds) in [("22.335172", 22), ("4102444800.5", 4_102_444_800)] {
        let flow = closed(&CONN.replace("1764338400.123456", text));
        assert_eq!(flow.start.0 / 1_000_000_000, seconds);
    }
}

#[test]
fn zeek_is_known_by_its_rows_and_its_header() {
    assert_eq!(detect(CONN.as_bytes()), Format::ZeekJson);
    assert_eq!(detect(DNS.as_bytes()), Format::ZeekJson);
    assert_eq!(detect(conn_columns().as_bytes()), Format::ZeekTsv);
    for other in [
        r#"{"timestamp":"2026-11-24T03:45:48Z","event_type":"flow","flow_id":1,"proto":"TCP"}"#,
        r#"{"ts":1,"msg":"an application's own log"}"#,
        r#"{"ts":1764338400.0,"level":"info","logger":"a","caller":"b"}"#,
        "# a comment\n# separator",
    ] {
        assert_eq!(detect(other.as_bytes()), Format::Unknown, "{other}");
    }
}

#[test]
fn our_own_uid_is_the_flow_and_no_other_is() {
    let flow = |uid: &str| closed(&CONN.replace("CXWv6p3arKYeMETxOg", uid)).flow;
    assert_eq!(flow("CLygHa16AHYF"), FlowId(u64::MAX));
    assert_ne!(flow("CLygHa16AHYG"), FlowId(0), "one more than fits is any other uid");
    assert_ne!(flow("C00000000000"), FlowId(0));
}
