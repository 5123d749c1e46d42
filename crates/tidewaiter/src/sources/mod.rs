//! Sources move bytes: the capture ring, the runtime's API, kernel events. None gives them meaning.

#[allow(dead_code, unused_imports, reason = "watch and respond come next and use it")]
pub(crate) mod runtime_api;

pub(crate) mod captures;
pub(crate) mod files;
pub(crate) mod live;
pub(crate) mod logs;
pub(crate) mod rows;
