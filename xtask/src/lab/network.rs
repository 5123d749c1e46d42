//! The outside world: a network namespace behind a veth pair, with the far ends' addresses.

use anyhow::Result;

use super::{FAR_END_V4, FAR_END_V6, NAMESPACE};
use crate::run;

const HOST_LINK: &str = "wan0";
/// The host's own address towards the outside world.
pub(crate) const HOST_V4: &str = "198.51.100.1";
const HOST_V6: &str = "fd00:c2::1";

pub(super) struct Network {
    origin: Origin,
}

enum Origin {
    Ours,
    /// It was there before us, so it stays.
    Found,
}

impl Network {
    pub(super) fn up() -> Result<Self> {
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
        std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1")?;
        let this = if run::succeeds(&format!("ip netns exec {NAMESPACE} true")) {
            Self { origin: Origin::Found }
        } else {
            let this = Self { origin: Origin::Ours };
            build()?;
            this
        };
        for address in [FAR_END_V4, FAR_END_V6] {
            run::output(&format!("ping -c 1 -W 2 {address}"))
                .or_else(|_| run::output(&format!("busybox ping -c 1 -W 2 {address}")))?;
        }
        Ok(this)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if matches!(self.origin, Origin::Ours) {
            run::succeeds(&format!("ip netns delete {NAMESPACE}"));
            run::succeeds(&format!("ip link delete {HOST_LINK}"));
        }
    }
}

fn build() -> Result<()> {
    run::succeeds(&format!("ip link delete {HOST_LINK}"));
    for line in [
        format!("ip netns add {NAMESPACE}"),
        format!("ip link add {HOST_LINK} type veth peer name eth0 netns {NAMESPACE}"),
        format!("ip address add {HOST_V4}/24 dev {HOST_LINK}"),
        format!("ip -6 address add {HOST_V6}/64 dev {HOST_LINK} nodad"),
        format!("ip link set {HOST_LINK} up"),
        format!("ip -n {NAMESPACE} address add {FAR_END_V4}/24 dev eth0"),
        format!("ip -n {NAMESPACE} -6 address add {FAR_END_V6}/64 dev eth0 nodad"),
        format!("ip -n {NAMESPACE} link set eth0 up"),
        format!("ip -n {NAMESPACE} link set lo up"),
        format!("ip -n {NAMESPACE} route add default via {HOST_V4}"),
        format!("ip -n {NAMESPACE} -6 route add default via {HOST_V6}"),
    ] {
        run::must(&line)?;
    }
    Ok(())
}
