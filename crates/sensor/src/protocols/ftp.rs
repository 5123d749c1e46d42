//! FTP's control connection, by greeting and first command: RFC 959; then line by line.

use observation::Side;

use super::follow::{Context, Follower, Next, Step};
use super::lines::{Lines, Owed, Talk};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{
    Fit, decimal, first_line, first_word, is_one_of, is_text, line_word, reply_code, split_word,
};
use super::{Heads, Heard, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "ftp",
    first_bytes: FirstBytes::of(b"14523"),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Ftp(Lines::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Originator) {
        return Verdict::Never;
    }
    match (first_word(heads.opener, OPENINGS), greets(heads.answerer)) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) if first_line(heads.opener).is_some() => Verdict::Confirmed,
        (Fit::Could, Fit::Yes) if names_ftp(heads.answerer) => Verdict::Proposed(Side::Responder),
        _ => Verdict::Unsure,
    }
}

/// 120, 220, 421 or 530: RFC 959, section 5.4.
fn greets(head: &[u8]) -> Fit {
    match (reply_code(head), head.get(..3), first_line(head)) {
        (Fit::Yes, Some(b"120" | b"220" | b"421" | b"530"), Some(line)) if is_text(line) => {
            Fit::Yes
        }
        (Fit::Yes, Some(b"120" | b"220" | b"421" | b"530"), None) => Fit::Could,
        (Fit::Could, ..) => Fit::Could,
        _ => Fit::No,
    }
}

fn names_ftp(head: &[u8]) -> bool {
    let line = first_line(head).unwrap_or_default();
    let has = |word: &[u8]| line.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    has(b"ftp") && !has(b"smtp")
}

/// Where the dialogue stands.
#[derive(Debug, Default)]
pub(super) struct Dialogue {
    /// The code of a reply of several lines that has not ended, and its lines so far.
    open_reply: Option<([u8; 3], u16)>,
    asked: Asked,
    owed: Owed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asked {
    #[default]
    Other,
    AuthTls,
}

impl Talk for Dialogue {
    fn line(&mut self, side: Side, line: &[u8], context: &mut Context<'_>) -> Step {
        match side {
            Side::Originator => {
                let step = self.command(line);
                if step == Step::Obeys {
                    announce(side, client_listens(line), context);
                    context.command("ftp", without_interrupt(line));
                }
                step
            }
            Side::Responder => {
                let step = self.reply(line);
                if step == Step::Obeys {
                    announce(side, server_listens(line), context);
                }
                step
            }
        }
    }

    fn begun(&self, side: Side, part: &[u8]) -> Step {
        let fits = match side {
            Side::Originator => first_word(without_interrupt(part), COMMANDS).possible(),
            Side::Responder if self.open_reply.is_some() => is_text(part),
            Side::Responder => reply_code(part).possible() && is_text(part),
        };
        if fits { Step::Obeys } else { Step::Left }
    }

    fn gap(&mut self, _: Side) {
        self.open_reply = None;
        self.owed.lose_count();
    }
}

impl Dialogue {
    fn command(&mut self, line: &[u8]) -> Step {
        let line = without_interrupt(line);
        // A client waits for the whole reply before it goes on.
        if self.open_reply.is_some() || line_word(line, COMMANDS) != Fit::Yes || !is_text(line) {
            return Step::Left;
        }
        self.owed.ask();
        let secures = is_one_of(line.trim_ascii(), &[b"AUTH TLS", b"AUTH SSL", b"AUTH TLS-C"]);
        self.asked = if secures { Asked::AuthTls } else { Asked::Other };
        Step::Obeys
    }

    fn reply(&mut self, line: &[u8]) -> Step {
        if !is_text(line) {
            return Step::Left;
        }
        let code = line.first_chunk::<3>();
        if let Some((open, lines)) = self.open_reply {
            // Between the first and the last line of a reply the text is free.
            let ends = code == Some(&open) && line.get(3).is_none_or(|byte| *byte == b' ');
            self.open_reply = if ends { None } else { Some((open, lines + 1)) };
            if ends && !self.may_answer(open) {
                return Step::Left;
            }
            return if lines < REPLY_LINE_COUNT_MAX { Step::Obeys } else { Step::Left };
        }
        let Some(code) = code.filter(|code| decimal(*code).is_some()) else { return Step::Left };
        match line.get(3) {
            _ if !reply_code(line).possible() => Step::Left,
            Some(b'-') => {
                self.open_reply = Some((*code, 1));
                Step::Obeys
            }
            _ if !self.may_answer(*code) => Step::Left,
            _ if code == b"234" && self.asked == Asked::AuthTls => Step::Becomes(Next::Tls, 0),
            _ => Step::Obeys,
        }
    }
}

impl Dialogue {
    /// Whether somebody waits for this reply. A preliminary reply leaves the final one owed, and a
    /// server may say at any time that it closes.
    fn may_answer(&mut self, code: [u8; 3]) -> bool {
        match &code {
            [b'1', ..] => self.owed.is_owed(),
            b"421" => true,
            _ => self.owed.answer(),
        }
    }
}

/// The data connection that follows.
fn announce(side: Side, port: Option<u16>, context: &mut Context<'_>) {
    if let Some(port) = port {
        (context.heard)(Heard::Announced { protocol: "ftp_data", side, port });
    }
}

/// `227 … (h1,h2,h3,h4,p1,p2)` and `229 … (|||port|)`: RFC 959, RFC 2428.
fn server_listens(line: &[u8]) -> Option<u16> {
    let open = line.iter().position(|byte| *byte == b'(')?;
    let inside = line.get(open + 1..)?.split(|byte| *byte == b')').next()?;
    match line.first_chunk::<3>()? {
        b"227" => sixth(inside),
        b"229" => extended(inside),
        _ => None,
    }
}

/// `PORT h1,h2,h3,h4,p1,p2` and `EPRT |family|address|port|`.
fn client_listens(line: &[u8]) -> Option<u16> {
    let (verb, rest) = split_word(without_interrupt(line));
    match (is_one_of(verb, &[b"PORT"]), is_one_of(verb, &[b"EPRT"])) {
        (true, _) => sixth(rest.trim_ascii()),
        (_, true) => extended(rest.trim_ascii()),
        _ => None,
    }
}

/// The port of six numbers with commas, the last two of which are its bytes.
fn sixth(numbers: &[u8]) -> Option<u16> {
    let mut bytes = numbers
        .split(|byte| *byte == b',')
        .skip(4)
        .map(|number| decimal(number).and_then(|number| u8::try_from(number).ok()));
    let port = u16::from_be_bytes([bytes.next()??, bytes.next()??]);
    (bytes.next().is_none() && port > 0).then_some(port)
}

/// The port of four fields between delimiters of the sender's choice.
fn extended(fields: &[u8]) -> Option<u16> {
    let delimiter = fields.first()?;
    let port = fields.split(|byte| byte == delimiter).nth(3)?;
    decimal(port).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)
}

/// ABOR may come behind telnet's interrupt and data mark: RFC 959, section 4.1.3.
fn without_interrupt(line: &[u8]) -> &[u8] {
    let end = line.iter().take_while(|byte| **byte >= 0xf2).count();
    line.get(end..).unwrap_or_default()
}

const OPENINGS: &[&[u8]] = &[
    b"USER", b"AUTH", b"FEAT", b"SYST", b"HOST", b"OPTS", b"CLNT", b"PASS", b"QUIT", b"HELP",
    b"NOOP", b"STAT",
];
const COMMANDS: &[&[u8]] = &[
    b"USER", b"PASS", b"ACCT", b"CWD", b"CDUP", b"SMNT", b"QUIT", b"REIN", b"PORT", b"PASV",
    b"TYPE", b"STRU", b"MODE", b"RETR", b"STOR", b"STOU", b"APPE", b"ALLO", b"REST", b"RNFR",
    b"RNTO", b"ABOR", b"DELE", b"RMD", b"MKD", b"PWD", b"LIST", b"NLST", b"SITE", b"SYST", b"STAT",
    b"HELP", b"NOOP", b"FEAT", b"OPTS", b"AUTH", b"ADAT", b"PROT", b"PBSZ", b"CCC", b"MIC",
    b"CONF", b"ENC", b"LANG", b"EPRT", b"EPSV", b"MDTM", b"MLSD", b"MLST", b"SIZE", b"HOST",
    b"CLNT", b"MFMT", b"MFCT", b"MFF", b"HASH", b"XCRC", b"XMD5", b"XSHA1", b"XSHA256", b"XPWD",
    b"XCWD", b"XMKD", b"XRMD", b"XCUP", b"COMB", b"LPRT", b"LPSV", b"THMB", b"AVBL", b"CSID",
    b"DSIZ", b"ESTP", b"RANG",
];
/// A greeting of many lines is common; an endless reply hides a conversation.
const REPLY_LINE_COUNT_MAX: u16 = 256;

#[cfg(test)]
mod tests {
    use observation::Side;

    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_login_is_ftp() {
        let story = Story::of(&[
            server(b"220-Welcome\r\nanything goes here\r\n220 ready\r\n"),
            client(b"USER anonymous\r\n"),
            server(b"331 password?\r\n"),
            client(b"PASS x\r\n"),
            server(b"230 in\r\n"),
            client(b"PWD\r\n"),
        ]);
        story.is_confirmed("ftp");
        story.is_obeyed_after(1);
        let told = ["\"USER anonymous\"", "\"PASS\"", "\"PWD\""];
        assert!(story.facts.iter().zip(told).all(|(fact, told)| fact.contains(told)), "{story:?}");
    }

    #[test]
    fn data_connections_are_announced_by_whoever_listens() {
        let asks = [server(b"220 x\r\n"), client(b"USER a\r\n"), server(b"230 in\r\n")];
        let told = |turns: &[(Side, &[u8])]| {
            let story = Story::of(&[&asks, turns].concat());
            let announced = story.facts.into_iter().filter(|fact| fact.starts_with("Announced"));
            announced.collect::<alloc::vec::Vec<_>>()
        };
        let passive = told(&[client(b"PASV\r\n"), server(b"227 Entering (10,0,0,5,195,80)\r\n")]);
        assert!(passive.len() == 1 && passive[0].contains("side: Responder, port: 50000"));
        let extended = told(&[client(b"EPSV\r\n"), server(b"229 Extended (|||50000|)\r\n")]);
        assert_eq!(extended, passive);
        let active = told(&[client(b"PORT 10,0,0,2,195,80\r\n"), server(b"200 ok\r\n")]);
        assert!(active.len() == 1 && active[0].contains("side: Originator, port: 50000"));
        assert_eq!(told(&[client(b"EPRT |1|10.0.0.2|50000|\r\n"), server(b"200 ok\r\n")]), active);
        let none = told(&[client(b"PASV\r\n"), server(b"227 Entering (10,0,0,5,195,380)\r\n")]);
        assert!(none.is_empty());
    }

    #[test]
    fn ftp_cut_short_is_unsure() {
        assert!(Story::of(&[server(b"220 x\r\n"), client(b"USE")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_an_ftp_login_leaves() {
        let story = Story::of(&[
            server(b"220 x\r\n"),
            client(b"USER a\r\n"),
            server(b"cat /etc/passwd\r\n"),
        ]);
        story.is_left_by_server();
        let story = Story::of(&[
            server(b"220 x\r\n"),
            client(b"USER a\r\n"),
            server(b"331 id\r\n"),
            client(b"uid=0(root) gid=0(root)\r\n"),
        ]);
        story.is_left_by_client();
    }
}
