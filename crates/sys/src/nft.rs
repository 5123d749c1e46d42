//! Taking a container off the network with nftables, by netlink batches of our own: a cut is in
//! force within a fraction of a millisecond, all of it or nothing.
//!
//! Two cuts complement each other. [`Nft::cut_device`] on the host's end of a veth is out of the
//! container's reach and stops ARP and raw frames too; [`Nft::cut_namespace`] stops everything
//! inside before it leaves, except what stays on `lo`, and also the way to Docker's resolver at
//! 127.0.0.11, whose questions dockerd would carry outside.
//! Tables have no owner, so that they outlive this process; `nft list ruleset` shows them.

mod expression;

use std::io;

use crate::error::{Error, Result};
use crate::link::Links;
use crate::native::text;
use crate::netlink::{Message, Received, Reply, Socket, attribute, outcome, replies};
use crate::netns::PinnedNetns;
use crate::process::Process;

/// The name of a cut's tables: `tidewaiter_` and the alert's short id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CutName(String);

impl CutName {
    /// Checks the id: 1 to 32 ASCII letters and digits.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn new(id: &str) -> Result<Self> {
        let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !plain || !(1..=ID_BYTES_MAX).contains(&id.len()) {
            return Err(Error::invalid(
                "naming a cut",
                "its id must be 1 to 32 letters and digits",
            ));
        }
        Ok(Self(format!("{PREFIX}{id}")))
    }

    /// The table's name.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.0
    }

    /// The id alone.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.strip_prefix(PREFIX).unwrap_or_default()
    }
}

/// Which of the two cuts a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CutKind {
    /// On one device: family `netdev`.
    Device,
    /// In a whole namespace: family `inet`.
    Namespace,
}

impl CutKind {
    const fn family(self) -> u8 {
        match self {
            Self::Device => FAMILY_NETDEV,
            Self::Namespace => FAMILY_INET,
        }
    }
}

/// What one rule of a cut has dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleCounter {
    /// The rule's chain (`ingress`, `egress`, `input`, `output`, `forward`).
    pub chain: String,
    /// How many packets.
    pub packet_count: u64,
    /// How many bytes.
    pub byte_count: u64,
}

/// Whether there was a cut to undo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone now.
    Removed,
    /// It was not there.
    WasAbsent,
}

/// Speaks with nftables in one network namespace.
#[derive(Debug)]
pub struct Nft {
    socket: Socket,
    links: Links,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Host,
    Inside,
}

impl Nft {
    /// In this thread's namespace, the host's.
    ///
    /// # Errors
    /// When the kernel has no nftables.
    pub fn here() -> Result<Self> {
        let socket = Socket::open(libc::NETLINK_NETFILTER, 0)?;
        Ok(Self { socket, links: Links::open()?, place: Place::Host })
    }

    /// In another namespace.
    ///
    /// # Errors
    /// Without `CAP_SYS_ADMIN`.
    pub fn inside(netns: &PinnedNetns) -> Result<Self> {
        let socket = netns.run(|| Socket::open(libc::NETLINK_NETFILTER, 0))??;
        // Both ours and the first process', since we may run in a container ourselves.
        let first = Process::open(1).ok().and_then(|process| process.netns());
        let is_host = PinnedNetns::own()?.inode() == netns.inode() || first == Some(netns.inode());
        let place = if is_host { Place::Host } else { Place::Inside };
        Ok(Self { socket, links: netns.links()?, place })
    }

    /// Drops every frame that enters or leaves a device of this namespace.
    ///
    /// # Errors
    /// When the device is gone (`NotFound`), it is the host's and no veth, the cut stands already
    /// (`AlreadyExists`), the kernel is older than 5.16, or without `CAP_NET_ADMIN`. Nothing has
    /// changed then.
    pub fn cut_device(&mut self, name: &CutName, ifindex: u32) -> Result<()> {
        let doing = format!("cutting off interface {ifindex}");
        let gone = || Error::of(doing.clone(), io::ErrorKind::NotFound.into());
        let link = self.links.link(ifindex)?.ok_or_else(gone)?;
        // Uplinks, bridges and `lo` carry everybody's traffic.
        if self.place == Place::Host && link.kind != "veth" {
            return Err(Error::invalid(doing, "on the host only a container's veth may be cut"));
        }
        let device = link.name;
        let family = CutKind::Device.family();
        let mut batch = vec![new_table(family, name)];
        for (chain, hook) in [("ingress", 0), ("egress", 1)] {
            // Also the policy drops: emptying the chain does not open it.
            batch.push(new_chain(family, name, chain, (hook, Some(&device), DROP)));
            batch.push(new_rule(family, name, chain, expression::count_and_drop));
        }
        self.commit(batch, &doing)?;
        // From 6.16 on the kernel accepts a chain for a device that is not there (yet), which would
        // be a cut that cuts nothing.
        if self.links.link(ifindex)?.is_some_and(|link| link.name == device) {
            return Ok(());
        }
        self.remove(CutKind::Device, name)?;
        Err(gone())
    }

    /// Drops everything that enters, leaves or crosses this namespace, except on its `lo`.
    ///
    /// # Errors
    /// When the namespace is the host's, when the cut stands already (`AlreadyExists`), or
    /// without `CAP_NET_ADMIN`. Nothing has changed then.
    pub fn cut_namespace(&mut self, name: &CutName) -> Result<()> {
        let doing = "cutting off a network namespace";
        if self.place == Place::Host {
            return Err(Error::invalid(doing, "it is the host's"));
        }
        let family = CutKind::Namespace.family();
        let mut batch = vec![new_table(family, name)];
        for (chain, hook) in [("input", 1), ("forward", 2), ("output", 3)] {
            batch.push(new_chain(family, name, chain, (hook, None, ACCEPT)));
        }
        batch.push(new_rule(family, name, "output", |list| {
            expression::count_and_drop(expression::to_docker_resolver(list))
        }));
        batch.push(new_rule(family, name, "input", |list| {
            expression::count_and_drop(expression::not_from_loopback(list))
        }));
        batch.push(new_rule(family, name, "output", |list| {
            expression::count_and_drop(expression::not_to_loopback(list))
        }));
        batch.push(new_rule(family, name, "forward", expression::count_and_drop));
        self.commit(batch, doing)
    }

    /// Whether the cut stands.
    ///
    /// # Errors
    /// When the kernel refuses to tell.
    pub fn exists(&mut self, kind: CutKind, name: &CutName) -> Result<bool> {
        let message = message(libc::NFT_MSG_GETTABLE, libc::NLM_F_ACK, kind.family())
            .text(TABLE_NAME, name.table());
        match self.socket.request(message, |_| {}) {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(refused("looking for a cut", error)),
        }
    }

    /// All cuts that stand in this namespace, whoever made them.
    ///
    /// # Errors
    /// When the kernel refuses to tell.
    pub fn cuts(&mut self) -> Result<Vec<(CutKind, CutName)>> {
        let message = message(libc::NFT_MSG_GETTABLE, libc::NLM_F_DUMP, 0);
        let mut found = Vec::new();
        let listed = self.socket.request(message, |reply| {
            let kind = match reply.payload.first() {
                Some(&FAMILY_NETDEV) => CutKind::Device,
                Some(&FAMILY_INET) => CutKind::Namespace,
                _ => return,
            };
            let table = payload(reply).and_then(|bytes| attribute(bytes, TABLE_NAME)).map(text);
            let id = table.as_deref().and_then(|table| table.strip_prefix(PREFIX));
            found.extend(id.and_then(|id| CutName::new(id).ok()).map(|name| (kind, name)));
        });
        listed.map_err(|error| refused("listing cuts", error))?;
        Ok(found)
    }

    /// What each rule of a cut has dropped; empty when the cut is gone, or, before Linux 6.16, its
    /// device.
    ///
    /// # Errors
    /// When the kernel refuses to tell.
    pub fn counters(&mut self, kind: CutKind, name: &CutName) -> Result<Vec<RuleCounter>> {
        let message = message(libc::NFT_MSG_GETRULE, libc::NLM_F_DUMP, kind.family())
            .text(RULE_TABLE, name.table());
        let mut counters = Vec::new();
        match self.socket.request(message, |reply| counters.extend(rule_counter(reply, name))) {
            Ok(()) => Ok(counters),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(Vec::new()),
            Err(error) => Err(refused("reading a cut's counters", error)),
        }
    }

    /// Undoes a cut.
    ///
    /// # Errors
    /// When the kernel refuses; the cut then still stands.
    pub fn remove(&mut self, kind: CutKind, name: &CutName) -> Result<Removal> {
        let message =
            message(libc::NFT_MSG_DELTABLE, 0, kind.family()).text(TABLE_NAME, name.table());
        match self.transact(vec![message]) {
            Ok(()) => Ok(Removal::Removed),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(Removal::WasAbsent),
            Err(error) => Err(refused("undoing a cut", error)),
        }
    }

    fn commit(&mut self, batch: Vec<Message>, doing: &str) -> Result<()> {
        self.transact(batch).map_err(|error| refused(doing, error))
    }

    /// Sends messages that take effect together or not at all.
    fn transact(&mut self, messages: Vec<Message>) -> io::Result<()> {
        let first = self.socket.next_sequence();
        let mut bytes = batch_edge(libc::NFNL_MSG_BATCH_BEGIN).finish(first);
        let mut last = first;
        for message in messages {
            last = self.socket.next_sequence();
            bytes.extend(message.acknowledged().finish(last));
        }
        let end = self.socket.next_sequence();
        bytes.extend(batch_edge(libc::NFNL_MSG_BATCH_END).finish(end));
        self.socket.send(&bytes)?;
        loop {
            let datagram = match self.socket.receive(ANSWER_TIMEOUT)? {
                Received::Datagram(datagram) => datagram,
                Received::Overrun => return Err(io::Error::from_raw_os_error(libc::ENOBUFS)),
                Received::TimedOut => return Err(io::ErrorKind::TimedOut.into()),
            };
            for reply in
                replies(datagram).filter(|reply| i32::from(reply.kind) == libc::NLMSG_ERROR)
            {
                if (first..=last).contains(&reply.sequence) {
                    outcome(reply.payload)?;
                }
                // Answers come in order, and any error before the last one has already returned.
                if reply.sequence == last {
                    return Ok(());
                }
            }
        }
    }
}

/// A cut's tables, seen from outside this module, are errors with the capability that they need.
fn refused(doing: &str, error: io::Error) -> Error {
    Error::of(doing, error).needs("CAP_NET_ADMIN")
}

/// A message of the nftables subsystem, with its `struct nfgenmsg`.
fn message(kind: i32, flags: i32, family: u8) -> Message {
    let kind = u16::try_from(libc::NFNL_SUBSYS_NFTABLES << 8 | kind).unwrap_or(0);
    Message::new(kind, flags).put(&[family, 0, 0, 0])
}

fn batch_edge(kind: i32) -> Message {
    let [high, low] = SUBSYSTEM.to_be_bytes();
    Message::new(u16::try_from(kind).unwrap_or(0), 0).put(&[0, 0, high, low])
}

fn new_table(family: u8, name: &CutName) -> Message {
    message(libc::NFT_MSG_NEWTABLE, libc::NLM_F_CREATE | libc::NLM_F_EXCL, family)
        .text(TABLE_NAME, name.table())
        .attribute(TABLE_FLAGS, &0_u32.to_be_bytes())
}

/// `place` is hook, device and policy.
fn new_chain(family: u8, name: &CutName, chain: &str, place: (u32, Option<&str>, u32)) -> Message {
    let (hook, device, policy) = place;
    message(libc::NFT_MSG_NEWCHAIN, libc::NLM_F_CREATE | libc::NLM_F_EXCL, family)
        .text(CHAIN_TABLE, name.table())
        .text(CHAIN_NAME, chain)
        .nest(CHAIN_HOOK, |hooked| {
            let hooked = hooked
                .attribute(HOOK_NUMBER, &hook.to_be_bytes())
                .attribute(HOOK_PRIORITY, &PRIORITY.to_be_bytes());
            match device {
                Some(device) => hooked.text(HOOK_DEVICE, device),
                None => hooked,
            }
        })
        .attribute(CHAIN_POLICY, &policy.to_be_bytes())
        .text(CHAIN_TYPE, "filter")
}

fn new_rule(
    family: u8,
    name: &CutName,
    chain: &str,
    fill: impl FnOnce(Message) -> Message,
) -> Message {
    message(libc::NFT_MSG_NEWRULE, libc::NLM_F_CREATE | libc::NLM_F_APPEND, family)
        .text(RULE_TABLE, name.table())
        .text(RULE_CHAIN, chain)
        .nest(RULE_EXPRESSIONS, fill)
}

fn rule_counter(reply: Reply<'_>, name: &CutName) -> Option<RuleCounter> {
    let bytes = payload(reply)?;
    // Kernels before 3.18 do not filter dumps by table.
    if attribute(bytes, RULE_TABLE).map(text).as_deref() != Some(name.table()) {
        return None;
    }
    let chain = attribute(bytes, RULE_CHAIN).map(text)?;
    let (byte_count, packet_count) = expression::counter(attribute(bytes, RULE_EXPRESSIONS)?)?;
    Some(RuleCounter { chain, packet_count, byte_count })
}

/// What follows `struct nfgenmsg`.
fn payload(reply: Reply<'_>) -> Option<&[u8]> {
    reply.payload.get(4..)
}

const PREFIX: &str = "tidewaiter_";
const ID_BYTES_MAX: usize = 32;
const ANSWER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
/// Before connection tracking and every ordinary rule.
const PRIORITY: i32 = -300;
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
const SUBSYSTEM: u16 = 10;
const _: () = assert!(SUBSYSTEM as i32 == libc::NFNL_SUBSYS_NFTABLES);
const FAMILY_INET: u8 = 1;
const FAMILY_NETDEV: u8 = 5;
/// `NFTA_…` of `linux/netfilter/nf_tables.h`.
const TABLE_NAME: u16 = 1;
const TABLE_FLAGS: u16 = 2;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const HOOK_DEVICE: u16 = 3;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_could_be_anything_else_is_refused() {
        assert_eq!(CutName::new("01JD8T6V3M").unwrap().table(), "tidewaiter_01JD8T6V3M");
        assert_eq!(CutName::new("01JD8T6V3M").unwrap().id(), "01JD8T6V3M");
        for id in ["", "a b", "a;b", "ä", "../x", "a\0", &"a".repeat(33)] {
            assert!(CutName::new(id).is_err(), "{id:?}");
        }
    }

    #[test]
    fn a_counter_is_read_back_from_its_rule() {
        let name = CutName::new("x").unwrap();
        let message = new_rule(5, &name, "egress", expression::count_and_drop);
        let bytes = message.finish(1);
        let reply = replies(&bytes).next().unwrap();
        let expected = RuleCounter { chain: "egress".into(), packet_count: 0, byte_count: 0 };
        assert_eq!(rule_counter(reply, &name), Some(expected));
        assert_eq!(rule_counter(reply, &CutName::new("y").unwrap()), None);
        let cut = Reply { payload: &reply.payload[..30], ..reply };
        assert_eq!(rule_counter(cut, &name), None);
    }
}
