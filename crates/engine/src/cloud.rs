//! Metadata services of clouds: where they are, and what is asked of them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use observation::HttpExchange;
use serde::{Deserialize, Serialize};

/// What was asked of a metadata service; the most telling last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Metadata {
    #[default]
    Nothing,
    /// Where the machine is, and what it is called.
    Facts,
    /// A ticket with which to ask.
    Ticket,
    /// Credentials, or what the machine was started with, which holds some.
    Secrets,
    /// The same, and they were given.
    SecretsGiven,
}

/// Who asks, going by what it calls itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Library {
    /// Nobody, or a tool for everything.
    #[default]
    None,
    /// A cloud's own library.
    Clouds,
}

/// Addresses of metadata services: of most clouds; of AWS by IPv6; of Alibaba's; of tasks of ECS.
const ADDRESSES: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
];
/// Their names, where they have one.
const HOSTS: [&str; 4] =
    ["169.254.169.254", "metadata.google.internal", "metadata.goog", "100.100.100.200"];
/// Parts of the paths that lead to secrets, of one cloud or another.
const SECRETS: [&str; 9] = [
    "security-credentials",
    "identity-credentials",
    "/v2/credentials/",
    "service-accounts/",
    "oauth2/token",
    "user-data",
    "user_data",
    "kube-env",
    "/opc/v2/identity",
];
const TICKETS: [&str; 1] = ["/latest/api/token"];
/// How the libraries of clouds begin to call themselves.
const LIBRARIES: [&str; 11] = [
    "aws-",
    "boto",
    "amazon-",
    "azsdk-",
    "azure-",
    "gcloud",
    "google-",
    "gl-",
    "cloud-init",
    "alibabacloud",
    "openstack",
];

/// Whether a metadata service is at this address.
pub(crate) fn is_at(address: IpAddr) -> bool {
    ADDRESSES.contains(&address)
}

impl Metadata {
    /// What an exchange asks of a metadata service; nothing, if it is not for one.
    pub(crate) fn of(told: &HttpExchange<'_>) -> Self {
        let host = told.host.split(':').next().unwrap_or_default();
        let is_for_one = HOSTS.iter().any(|name| host.eq_ignore_ascii_case(name))
            || told.host.to_ascii_lowercase().starts_with("[fd00:ec2::254]")
            || host == "169.254.170.2";
        let leads_to = |parts: &[&str]| parts.iter().any(|part| told.target.contains(part));
        match is_for_one {
            false => Self::Nothing,
            true if leads_to(&SECRETS) && (200..300).contains(&told.status) => Self::SecretsGiven,
            true if leads_to(&SECRETS) => Self::Secrets,
            true if leads_to(&TICKETS) => Self::Ticket,
            true => Self::Facts,
        }
    }
}

impl Library {
    pub(crate) fn of(agent: &str) -> Self {
        let begins = |name: &&str| {
            agent.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name))
        };
        if LIBRARIES.iter().any(begins) { Self::Clouds } else { Self::None }
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::Cow;

    use super::*;

    fn asked(host: &'static str, target: &'static str, status: u16) -> Metadata {
        let (host, target) = (Cow::Borrowed(host), Cow::Borrowed(target));
        Metadata::of(&HttpExchange { host, target, status, ..HttpExchange::default() })
    }

    #[test]
    fn what_is_asked_of_a_metadata_service() {
        let role = "/latest/meta-data/iam/security-credentials/web";
        assert_eq!(asked("169.254.169.254", role, 200), Metadata::SecretsGiven);
        assert_eq!(asked("169.254.169.254:80", role, 401), Metadata::Secrets);
        assert_eq!(asked("169.254.169.254", "/latest/api/token", 200), Metadata::Ticket);
        assert_eq!(asked("169.254.169.254", "/latest/meta-data/hostname", 200), Metadata::Facts);
        let token = "/computeMetadata/v1/instance/service-accounts/default/token";
        assert_eq!(asked("Metadata.Google.Internal", token, 200), Metadata::SecretsGiven);
        assert_eq!(asked("api.example.com", role, 200), Metadata::Nothing);
    }

    #[test]
    fn who_asks_by_its_own_account() {
        assert_eq!(Library::of("Boto3/1.34.0 md/Botocore"), Library::Clouds);
        assert_eq!(Library::of("aws-sdk-go/1.44.0 (go1.21; linux; amd64)"), Library::Clouds);
        assert_eq!(Library::of("curl/8.5.0"), Library::None);
        assert_eq!(Library::of("\u{e9}"), Library::None);
    }
}
