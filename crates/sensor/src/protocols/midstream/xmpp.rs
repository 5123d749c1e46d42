//! XMPP in its middle, by the stanzas of both sides: RFC 6120, section 8.

use super::Part;
use crate::protocols::registry::{FirstBytes, Protocol, Transports};
use crate::protocols::words::{Fit, any_literal, contains};
use crate::protocols::{Heads, Verdict};

pub(in crate::protocols) static PROTOCOL: Protocol = Protocol {
    name: "xmpp",
    first_bytes: FirstBytes::of(b"<"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let [opener, answerer] = [heads.opener, heads.answerer].map(stanza);
    super::verdict(&heads, opener, answerer)
}

/// A stanza with one of the attributes that all of them share.
fn stanza(head: &[u8]) -> Part {
    if head.starts_with(END) {
        return Part::Shows;
    }
    if END.starts_with(head) && !head.is_empty() {
        return Part::Could;
    }
    match any_literal(head, STANZAS) {
        Fit::No => Part::Not,
        Fit::Could => Part::Could,
        Fit::Yes => {
            let end = head.iter().position(|byte| *byte == b'>');
            let tag = head.get(..end.unwrap_or(head.len())).unwrap_or_default();
            let shows = ATTRIBUTES.iter().any(|attribute| contains(tag, attribute));
            match (shows, end) {
                (true, _) => Part::Shows,
                (false, None) => Part::Could,
                (false, Some(_)) => Part::Not,
            }
        }
    }
}

const END: &[u8] = b"</stream:stream>";
const STANZAS: &[&[u8]] = &[b"<iq ", b"<message ", b"<presence ", b"<r xmlns=", b"<a xmlns="];
const ATTRIBUTES: &[&[u8]] = &[
    b" to=",
    b" from=",
    b" type='",
    b" type=\"",
    b"xmlns='urn:xmpp:",
    b"xmlns=\"urn:xmpp:",
    b"xmlns='jabber:",
    b"xmlns=\"jabber:",
];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn stanzas_of_both_are_xmpp() {
        let ask = client(b"<iq type='get' id='a'><query xmlns='jabber:iq:roster'/></iq>");
        Story::of_midstream(&[ask, server(b"<iq from='b' to='a'/>")]).is_confirmed("xmpp");
    }

    #[test]
    fn a_stanza_cut_short_is_unsure() {
        Story::of_midstream(&[client(b"<iq id='a'")]).is_nothing();
    }

    #[test]
    fn another_element_is_not_xmpp() {
        Story::of_midstream(&[client(b"<message id='a'>id</message>")]).is_nothing();
        Story::of(&[client(b"<iq type='get' id='a'>")]).is_nothing();
    }
}
