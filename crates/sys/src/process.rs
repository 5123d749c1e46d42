//! Processes: their executions as the kernel tells them, and what `/proc` says while they live.
//!
//! A process of a few hundred microseconds can be gone before `/proc` is read: what could not be
//! read is `None`, and nothing is guessed.

mod cgroup;
mod connector;
mod origin;
mod read;

pub use cgroup::{Cgroups, ContainerCgroup, ContainerRef, ContainerRuntime, container_of};
pub use connector::{ConnectorItem, Interest, ProcessConnector, ProcessEvent, ProcessEventKind};
pub use origin::InImage;
pub use read::{Process, ProcessRecord};
