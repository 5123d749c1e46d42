//! Workloads: what replicas have in common.

use alloc::string::String;
use core::fmt;

use observation::ImageId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Labels that name the owner: a project, a service or a namespace.
pub(crate) const OWNERS: [&str; 3] =
    ["com.docker.compose.project", "com.docker.swarm.service.name", "io.kubernetes.pod.namespace"];

/// Image, command and owner, hashed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub(crate) struct Workload([u8; 16]);

impl Workload {
    /// An image is told by its digest, where that is known.
    pub(super) fn of(
        image_id: Option<ImageId>,
        image: &str,
        command: &[String],
        labels: &[String],
    ) -> Self {
        let is_owner =
            |label: &&String| label.split_once('=').is_some_and(|(key, _)| OWNERS.contains(&key));
        let owner = labels.iter().find(is_owner);
        let image = if image_id.is_some() { "" } else { image };
        let parts = postcard::to_allocvec(&(image_id, image, command, owner));
        let digest: [u8; 32] = Sha256::digest(parts.unwrap_or_default()).into();
        let mut workload = [0; 16];
        workload.copy_from_slice(digest.get(..16).unwrap_or(&[0; 16]));
        Self(workload)
    }

    /// As it is shown.
    pub(crate) fn read(digits: &str) -> Option<Self> {
        let is_whole = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = u128::from_str_radix(digits, 16).ok().filter(|_| is_whole)?;
        Some(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}
