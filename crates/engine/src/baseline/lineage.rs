//! What the versions of one workload have in common.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::bounded;
use crate::ledger::{Container, OWNERS};

/// Labels that name the part of an application, where several containers may be the same.
const PARTS: [&str; 3] =
    ["com.docker.compose.service", "com.docker.swarm.service.name", "io.kubernetes.container.name"];

/// Owner, name and image of a workload, without the image's version.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lineage {
    /// The compose project, swarm service or namespace; empty where there is none.
    pub owner: String,
    /// The service's name, else the container's.
    pub name: String,
    /// The image's name without tag and digest.
    pub image: String,
}

impl Lineage {
    pub(super) fn of(container: &Container) -> Self {
        let owner = OWNERS.iter().find_map(|key| container.label(key));
        let part = PARTS.iter().find_map(|key| container.label(key));
        Self {
            owner: bounded(owner.unwrap_or_default()),
            name: bounded(part.unwrap_or(container.name())),
            image: bounded(repository(container.image())),
        }
    }
}

/// An image's name without its tag and digest.
fn repository(image: &str) -> &str {
    let name = image.split('@').next().unwrap_or_default();
    match name.rsplit_once(':') {
        // A colon before a slash belongs to a registry's port.
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

/// An image's tag; empty where it has none.
pub(crate) fn tag(image: &str) -> &str {
    let name = image.split('@').next().unwrap_or_default();
    name.get(repository(image).len()..).unwrap_or_default().trim_start_matches(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_no_part_of_a_name_and_a_port_is_no_tag() {
        let parts = |image| (repository(image), tag(image));
        assert_eq!(parts("shop/web:1.2-dev"), ("shop/web", "1.2-dev"));
        assert_eq!(parts("registry:5000/shop/web"), ("registry:5000/shop/web", ""));
        assert_eq!(parts("registry:5000/web:ci@sha256:aa"), ("registry:5000/web", "ci"));
        assert_eq!(parts(""), ("", ""));
    }
}
