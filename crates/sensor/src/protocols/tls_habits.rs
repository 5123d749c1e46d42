//! Who is told inside TLS by how he uses it: by what his client asks for, and by the certificates
//! that are shown before TLS 1.3, which hides them.

use observation::{Certificate, Side};

use super::certificate;
use super::client_hello::ClientHello;
use super::follow::Context;
use super::tls_session::Session;

/// How one protocol uses TLS.
pub(super) struct Habit {
    pub(super) name: &'static str,
    /// What its ClientHello says.
    pub(super) asks: fn(&ClientHello<'_>) -> Asks,
    /// Whether a certificate is one of its own.
    pub(super) shows: fn(&Certificate<'_>) -> bool,
}

/// What a ClientHello says of a protocol inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// It is another's.
    Otherwise,
    /// It could be, as many others could: only a certificate makes something of it.
    Alike,
    /// Nobody else is known to ask like this. One side's word, and anybody may write it.
    Alone,
}

static HABITS: [&Habit; 2] = [&super::tor::HABIT, &super::anydesk::HABIT];

/// What one connection has shown of them.
#[derive(Debug, Default)]
pub(super) struct Habits {
    asked_as: Option<&'static str>,
}

impl Habits {
    /// A ClientHello came.
    pub(super) fn asked(&mut self, hello: &ClientHello<'_>, context: &mut Context<'_>) {
        for habit in HABITS {
            match (habit.asks)(hello) {
                Asks::Otherwise => continue,
                Asks::Alike => {}
                Asks::Alone => context.carries(habit.name, Side::Originator),
            }
            self.asked_as = Some(habit.name);
        }
    }

    /// `side` has shown its certificates, its own first; the server's belongs to the session.
    pub(super) fn chain(
        &self,
        side: Side,
        message: &[u8],
        session: &mut Session,
        context: &mut Context<'_>,
    ) {
        match side {
            Side::Responder => {
                session.shown(message);
                if let Some(certificate) = session.certificate() {
                    self.shown(side, certificate, context);
                }
            }
            Side::Originator => {
                if let Some(certificate) = certificate::first(message) {
                    self.shown(side, &certificate, context);
                }
            }
        }
    }

    fn shown(&self, side: Side, certificate: &Certificate<'_>, context: &mut Context<'_>) {
        for habit in HABITS.iter().filter(|habit| (habit.shows)(certificate)) {
            if self.asked_as == Some(habit.name) {
                context.carries(habit.name, Side::Originator);
            }
            context.carries(habit.name, side);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use observation::Side;

    use crate::protocols::story::Story;

    /// X.690: a tag, a length, and the content.
    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
        let length = match content.len() {
            0..=0x7f => Vec::from([low]),
            0x80..=0xff => Vec::from([0x81, low]),
            _ => Vec::from([0x82, high, low]),
        };
        [&[tag][..], &length, &content].concat()
    }

    fn name(common: &str) -> Vec<u8> {
        let value = der(0x0c, &[common.as_bytes()]);
        let attribute = der(0x30, &[b"\x06\x03\x55\x04\x03", &value]);
        der(0x30, &[&der(0x31, &[&attribute])])
    }

    /// RFC 5280, section 4.1, with a key and a signature that mean nothing.
    fn certificate(subject: &str, issuer: &str) -> Vec<u8> {
        let algorithm = der(0x30, &[b"\x06\x03\x2b\x65\x70"]);
        let time = der(0x17, &[b"250101000000Z"]);
        let key = der(0x30, &[&algorithm, &der(0x03, &[&[0; 33]])]);
        let body = der(
            0x30,
            &[
                b"\xa0\x03\x02\x01\x02\x02\x01\x01",
                &algorithm,
                &name(issuer),
                &der(0x30, &[&time, &time]),
                &name(subject),
                &key,
            ],
        );
        let whole = der(0x30, &[&body, &algorithm, &der(0x03, &[&[0; 65]])]);
        let length = u16::try_from(whole.len()).unwrap();
        let sized = [&[0][..], &length.to_be_bytes(), &whole].concat();
        let chain = [&[0][..], &(length + 3).to_be_bytes(), &sized].concat();
        handshake(11, &chain)
    }

    fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap();
        let message = [&[kind, 0][..], &length.to_be_bytes(), body].concat();
        [&[22, 3, 3][..], &(length + 4).to_be_bytes(), &message].concat()
    }

    fn client_hello(name: &str) -> Vec<u8> {
        let length = u8::try_from(name.len()).unwrap();
        let mut body = [&[3, 3][..], &[7; 32], b"\0\0\x02\xc0\x2f\x01\0"].concat();
        body.extend([0, length + 9, 0, 0, 0, length + 5, 0, length + 3, 0, 0, length]);
        body.extend(name.as_bytes());
        handshake(1, &body)
    }

    fn server_hello() -> Vec<u8> {
        handshake(2, &[&[3, 3][..], &[8; 32], &[0, 0xc0, 0x2f, 0]].concat())
    }

    fn of(server_name: &str, subject: &str, issuer: &str) -> Story {
        let answers = [server_hello(), certificate(subject, issuer)].concat();
        Story::of(&[(Side::Originator, &client_hello(server_name)), (Side::Responder, &answers)])
    }

    #[test]
    fn a_made_up_name_and_a_made_up_certificate_are_tor() {
        let story = of("www.xq4zk2hfd7a.com", "www.s4ku5skci.net", "www.bvy6txkf3q.com");
        assert_eq!((&*story.names, story.left), (&["tls", "tor"][..], None));
    }

    #[test]
    fn either_alone_is_not_tor() {
        let story = of("www.xq4zk2hfd7a.com", "www.xq4zk2hfd7a.com", "R11");
        assert_eq!(story.names, ["tls"]);
        let story = of("relay.example", "www.s4ku5skci.net", "www.bvy6txkf3q.com");
        assert_eq!(story.names, ["tls"]);
    }

    #[test]
    fn a_relay_that_was_asked_for_is_anydesk() {
        let story = of("relay-1a2b3c4d.net.anydesk.com", "AnyNet Relay", "AnyNet Root CA");
        assert_eq!((&*story.names, story.left), (&["tls", "anydesk"][..], None));
        // Anybody may ask anybody for it.
        let story = of("relay-1a2b3c4d.net.anydesk.com", "c2.example", "c2.example");
        assert_eq!(story.names, ["tls"]);
        let story = of("net.anydesk.com.example", "AnyNet Relay", "AnyNet Root CA");
        assert_eq!(story.names, ["tls"]);
    }

    #[test]
    fn two_clients_that_show_their_certificates_are_anydesk() {
        let shown = certificate("AnyDesk Client", "AnyDesk Client");
        let story = Story::of(&[
            (Side::Originator, &client_hello("a")),
            (Side::Responder, &[server_hello(), shown.clone()].concat()),
            (Side::Originator, &shown),
        ]);
        assert_eq!((&*story.names, story.left), (&["tls", "anydesk"][..], None));
    }
}
