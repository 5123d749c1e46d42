//! What a suppression selects: conditions on an alert's own facts, all of which must hold.

use std::net::IpAddr;

use anyhow::{bail, ensure};
use engine::{Alert, ContainerView};

use super::pattern::{Pattern, literal};

/// Values that one condition may list.
const VALUE_COUNT_MAX: usize = 256;
const VALUE_BYTES_MAX: usize = 1024;
/// A network that is at most so wide is a destination.
const NETWORK_V4_BITS_MIN: u8 = 24;
const NETWORK_V6_BITS_MIN: u8 = 48;

/// A fact of an alert, under the name that it has in OCSF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    Workload,
    ImageDigest,
    ImageName,
    Address,
    Port,
    Domain,
}

impl Field {
    const ALL: [Self; 6] = [
        Self::Workload,
        Self::ImageDigest,
        Self::ImageName,
        Self::Address,
        Self::Port,
        Self::Domain,
    ];

    /// As it is written in a document.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Workload => "container.workload",
            Self::ImageDigest => "container.image.uid",
            Self::ImageName => "container.image.name",
            Self::Address => "dst_endpoint.ip",
            Self::Port => "dst_endpoint.port",
            Self::Domain => "dst_endpoint.domain",
        }
    }

    fn named(name: &str) -> anyhow::Result<Self> {
        let Some(field) = Self::ALL.into_iter().find(|field| field.name() == name) else {
            let known: Vec<_> = Self::ALL.iter().map(|field| field.name()).collect();
            bail!("the field {name:?} is not one of {}", known.join(", "))
        };
        Ok(field)
    }

    /// Everything that the alert says about it; a condition must hold for each.
    pub(crate) fn values(self, alert: &Alert) -> Vec<String> {
        match self {
            Self::Workload => of_containers(alert, |container| container.workload.clone()),
            Self::ImageDigest => of_containers(alert, image_digest),
            Self::ImageName => of_containers(alert, |container| container.image.clone()),
            Self::Address => {
                let endpoint = alert.peer.endpoint.iter();
                endpoint.map(|endpoint| endpoint.address.to_string()).collect()
            }
            Self::Port => {
                alert.peer.endpoint.iter().map(|endpoint| endpoint.port.to_string()).collect()
            }
            Self::Domain => alert.peer.names.iter().map(|name| name.name.clone()).collect(),
        }
    }
}

/// What is known of all accused; one of whom it is not known leaves nothing.
fn of_containers(alert: &Alert, of: impl Fn(&ContainerView) -> String) -> Vec<String> {
    let mut values = Vec::new();
    for subject in &alert.subjects {
        let value = subject.container.as_ref().map(&of).unwrap_or_default();
        if value.is_empty() {
            return Vec::new();
        }
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

fn image_digest(container: &ContainerView) -> String {
    let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    container.image_id.map(|id| format!("sha256:{}", digits(&id.0))).unwrap_or_default()
}

/// One condition: any of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    field: Field,
    values: Values,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Values {
    Texts(Vec<Pattern>),
    Networks(Vec<(IpAddr, u8)>),
}

/// All conditions of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection(Vec<Condition>);

impl Selection {
    /// Reads the keys and values of a Sigma selection.
    pub(super) fn read<'a>(
        written: impl Iterator<Item = (&'a str, Vec<String>)>,
    ) -> anyhow::Result<Self> {
        let mut conditions = Vec::new();
        for (key, values) in written {
            ensure!(!values.is_empty(), "{key:?} has no value");
            ensure!(values.len() <= VALUE_COUNT_MAX, "{key:?} has over {VALUE_COUNT_MAX} values");
            let is_short = |value: &String| value.len() <= VALUE_BYTES_MAX;
            ensure!(values.iter().all(is_short), "a value of {key:?} is too long");
            let (field, modifier) = key.split_once('|').unwrap_or((key, ""));
            let field = Field::named(field)?;
            let values = match (modifier, field) {
                ("", _) => Values::Texts(values.iter().map(|text| Pattern::read(text)).collect()),
                ("cidr", Field::Address) => {
                    let networks = values.iter().map(|text| network(text));
                    Values::Networks(networks.collect::<anyhow::Result<_>>()?)
                }
                _ => bail!("{key:?}: the only modifier here is `cidr`, on dst_endpoint.ip"),
            };
            conditions.push(Condition { field, values });
        }
        ensure!(!conditions.is_empty(), "the selection is empty");
        Ok(Self(conditions))
    }

    /// Whether all conditions hold for everything that the alert says.
    pub(super) fn matches(&self, alert: &Alert) -> bool {
        self.0.iter().all(|condition| {
            let known = condition.field.values(alert);
            !known.is_empty() && known.iter().all(|value| condition.values.contain(value))
        })
    }

    /// Whether a workload or a destination is fixed; what fixes neither is too broad.
    pub(super) fn is_fixed(&self) -> bool {
        self.0.iter().any(|condition| match (condition.field, &condition.values) {
            (Field::Workload | Field::Address, Values::Texts(all)) => {
                all.iter().all(Pattern::is_literal)
            }
            (Field::Domain, Values::Texts(all)) => {
                all.iter().all(|text| text.is_literal() || text.is_below_domain())
            }
            (_, Values::Networks(all)) => all.iter().all(|(address, bits)| match address {
                IpAddr::V4(_) => *bits >= NETWORK_V4_BITS_MIN,
                IpAddr::V6(_) => *bits >= NETWORK_V6_BITS_MIN,
            }),
            _ => false,
        })
    }
}

impl Values {
    fn contain(&self, value: &str) -> bool {
        match self {
            Self::Texts(all) => all.iter().any(|pattern| pattern.matches(value)),
            Self::Networks(all) => {
                let address = value.parse::<IpAddr>();
                address.is_ok_and(|address| all.iter().any(|network| holds(*network, address)))
            }
        }
    }
}

/// The value that selects exactly this text, as a document writes it.
pub(super) fn exactly(text: &str) -> String {
    literal(text)
}

fn network(text: &str) -> anyhow::Result<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/').unwrap_or((text, ""));
    let Ok(address) = address.parse::<IpAddr>() else { bail!("{text:?} is no network") };
    let bits_max = if address.is_ipv4() { 32 } else { 128 };
    let bits = if bits.is_empty() { Ok(bits_max) } else { bits.parse::<u8>() };
    match bits {
        Ok(bits) if bits <= bits_max => Ok((address, bits)),
        _ => bail!("{text:?} is no network"),
    }
}

fn holds((network, bits): (IpAddr, u8), address: IpAddr) -> bool {
    let same = |left: u128, right: u128, width: u32| {
        let shift = width - u32::from(bits).min(width);
        left.checked_shr(shift).unwrap_or(0) == right.checked_shr(shift).unwrap_or(0)
    };
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            same(network.to_bits().into(), address.to_bits().into(), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            same(network.to_bits(), address.to_bits(), 128)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(pairs: &[(&str, &str)]) -> anyhow::Result<Selection> {
        Selection::read(pairs.iter().map(|(key, value)| (*key, vec![(*value).to_owned()])))
    }

    #[test]
    fn what_fixes_neither_a_workload_nor_a_destination_is_too_broad() {
        for narrow in [
            ("container.workload", "5a5a"),
            ("dst_endpoint.ip", "198.51.100.10"),
            ("dst_endpoint.ip|cidr", "198.51.100.0/24"),
            ("dst_endpoint.domain", "*.example.com"),
        ] {
            assert!(selection(&[narrow]).unwrap().is_fixed(), "{narrow:?}");
        }
        for wide in [
            ("container.workload", "*"),
            ("dst_endpoint.ip", "198.*"),
            ("dst_endpoint.ip|cidr", "0.0.0.0/0"),
            ("dst_endpoint.ip|cidr", "10.0.0.0/8"),
            ("dst_endpoint.domain", "*.com"),
            ("dst_endpoint.port", "443"),
            ("container.image.name", "alpine"),
        ] {
            assert!(!selection(&[wide]).unwrap().is_fixed(), "{wide:?}");
        }
    }

    #[test]
    fn a_network_holds_its_addresses() {
        let inside =
            |net: &str, address: &str| holds(network(net).unwrap(), address.parse().unwrap());
        assert!(inside("198.51.100.0/24", "198.51.100.255"));
        assert!(!inside("198.51.100.0/24", "198.51.101.0"));
        assert!(inside("0.0.0.0/0", "1.2.3.4") && inside("::/0", "::1"));
        assert!(inside("2001:db8::/32", "2001:db8:1::1") && !inside("::/0", "1.2.3.4"));
        assert!(network("198.51.100.0/33").is_err() && network("x").is_err());
    }

    #[test]
    fn an_unknown_field_or_modifier_is_refused_with_what_is_known() {
        let why = selection(&[("container.name", "x")]).unwrap_err().to_string();
        assert!(why.contains("container.workload"), "{why}");
        assert!(selection(&[("dst_endpoint.domain|re", ".*")]).is_err());
        assert!(selection(&[]).is_err());
    }
}
