//! The resolver of the isolated network: it answers the names that a document's commands use, with
//! the far end's address, and knows nothing else. RFC 1035; it asks nobody.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

const HEADER_BYTES: usize = 12;
const TYPE_A: u16 = 1;
const CLASS_IN: u16 = 1;
/// Short, so that a second run is asked again.
const TTL_SECONDS: u32 = 5;
const RCODE_NO_NAME: u8 = 3;
const RCODE_OK: u8 = 0;

/// The answer to a query; `None` where it is no query.
pub(crate) fn answer(
    query: &[u8],
    names: &BTreeSet<String>,
    address: Ipv4Addr,
) -> Option<(String, Vec<u8>)> {
    let header = query.get(..HEADER_BYTES)?;
    let [id_high, id_low, flags, _, 0, 1, ..] = *header else { return None };
    if flags & 0b1111_1000 != 0 {
        return None;
    }
    let (name, end) = question_name(query)?;
    let question = query.get(HEADER_BYTES..end.checked_add(4)?)?;
    let kind = u16::from_be_bytes([*query.get(end)?, *query.get(end + 1)?]);
    let class = u16::from_be_bytes([*query.get(end + 2)?, *query.get(end + 3)?]);
    let known = names.iter().any(|known| is_below(&name, known));
    let address = (known && kind == TYPE_A && class == CLASS_IN).then_some(address);
    let rcode = if known { RCODE_OK } else { RCODE_NO_NAME };
    let mut out = vec![id_high, id_low, 0x84 | flags & 1, 0x80 | rcode, 0, 1, 0];
    out.extend([u8::from(address.is_some()), 0, 0, 0, 0]);
    out.extend(question);
    if let Some(address) = address {
        out.extend([0xc0, HEADER_BYTES as u8]);
        out.extend(TYPE_A.to_be_bytes());
        out.extend(CLASS_IN.to_be_bytes());
        out.extend(TTL_SECONDS.to_be_bytes());
        out.extend([0, 4]);
        out.extend(address.octets());
    }
    Some((name, out))
}

/// The queried name in lower case, and where it ends. A pointer has no place in a query.
fn question_name(query: &[u8]) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut at = HEADER_BYTES;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            return Some((name, at));
        }
        if length > 63 || name.len() > 253 {
            return None;
        }
        let label = query.get(at..at + length)?;
        if !name.is_empty() {
            name.push('.');
        }
        name.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
        at += length;
    }
}

fn is_below(name: &str, known: &str) -> bool {
    name.strip_suffix(known).is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

    fn names() -> BTreeSet<String> {
        BTreeSet::from(["c2.example.com".to_owned()])
    }

    fn query(labels: &[&[u8]], kind: u16) -> Vec<u8> {
        let mut query = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in labels {
            query.push(label.len() as u8);
            query.extend(*label);
        }
        query.push(0);
        query.extend(kind.to_be_bytes());
        query.extend([0, 1]);
        query
    }

    #[test]
    fn a_name_of_the_document_leads_to_the_far_end_also_below_it() {
        for labels in [&[&b"C2"[..], b"example", b"com"][..], &[b"x", b"c2", b"example", b"com"]] {
            let (_, out) = answer(&query(labels, 1), &names(), GATEWAY).unwrap();
            assert_eq!(out[..4], [0xab, 0xcd, 0x85, 0x80]);
            assert_eq!(out[6..8], [0, 1]);
            assert!(out.ends_with(&[10, 0, 0, 1]));
        }
    }

    #[test]
    fn another_name_does_not_exist() {
        for labels in [&[&b"example"[..], b"com"][..], &[b"xc2", b"example", b"com"]] {
            let (_, out) = answer(&query(labels, 1), &names(), GATEWAY).unwrap();
            assert_eq!((out[3] & 15, out[7]), (3, 0));
        }
    }

    #[test]
    fn a_known_name_has_no_ipv6_address_and_exists_nevertheless() {
        let query = query(&[b"c2", b"example", b"com"], 28);
        let (name, out) = answer(&query, &names(), GATEWAY).unwrap();
        assert_eq!(name, "c2.example.com");
        assert_eq!((out[3] & 15, out[7]), (0, 0));
    }

    #[test]
    fn what_is_no_query_gets_no_answer() {
        let good = query(&[b"c2", b"example", b"com"], 1);
        for cut in 0..good.len() {
            assert!(answer(&good[..cut], &names(), GATEWAY).is_none());
        }
        let mut response = good.clone();
        response[2] |= 0x80;
        assert!(answer(&response, &names(), GATEWAY).is_none());
        let mut pointer = good;
        pointer[12] = 0xc0;
        assert!(answer(&pointer, &names(), GATEWAY).is_none());
    }
}
