//! Workloads: what replicas have in common.

use alloc::string::String;
use core::fmt;

use observation::ImageId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Image, command and owner, hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Workload([u8; 16]);

impl Workload {
    /// An image is told by its digest, where that is known.
    pub(super) fn of(
        image_id: Option<ImageId>,
        image: &str,
        command: &[String],
        labels: &[String],
    ) -> Self {
        const OWNERS: [&str; 3] = [
            "com.docker.compose.project=",
            "com.docker.swarm.service.name=",
            "io.kubernetes.pod.namespace=",
        ];
        let is_owner = |label: &&String| OWNERS.iter().any(|owner| label.starts_with(owner));
        let owner = labels.iter().find(is_owner);
        let image = if image_id.is_some() { "" } else { image };
        let parts = postcard::to_allocvec(&(image_id, image, command, owner));
        let digest: [u8; 32] = Sha256::digest(parts.unwrap_or_default()).into();
        let mut workload = [0; 16];
        workload.copy_from_slice(digest.get(..16).unwrap_or(&[0; 16]));
        Self(workload)
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}
