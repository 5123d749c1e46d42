//! An error says what was tried, what the kernel answered and what the operator can do.

use std::fmt;
use std::io;

/// What the fallible functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;

/// A system call that failed.
#[derive(Debug)]
pub struct Error {
    doing: String,
    missing: Option<&'static str>,
    source: io::Error,
}

impl Error {
    /// The last system call of this thread failed while `doing`.
    pub(crate) fn last(doing: impl Into<String>) -> Self {
        Self::of(doing, io::Error::last_os_error())
    }

    pub(crate) fn of(doing: impl Into<String>, source: io::Error) -> Self {
        Self { doing: doing.into(), missing: None, source }
    }

    /// The kernel answered something that this crate does not understand, or an input is out of its
    /// bounds.
    pub(crate) fn invalid(doing: impl Into<String>, what: &str) -> Self {
        Self::of(doing, io::Error::new(io::ErrorKind::InvalidData, what.to_owned()))
    }

    /// Names the capabilities that are needed, where the kernel refused for want of permission.
    pub(crate) fn needs(mut self, capabilities: &'static str) -> Self {
        if self.source.kind() == io::ErrorKind::PermissionDenied {
            self.missing = Some(capabilities);
        }
        self
    }

    /// The capabilities whose absence explains the failure, as `capabilities(7)` names them.
    #[must_use]
    pub fn missing(&self) -> Option<&'static str> {
        self.missing
    }

    /// The kernel's error number, where the kernel gave one.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    /// The kind of the failure.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.source)?;
        match self.missing {
            Some(capabilities) => write!(f, "; run as root or grant {capabilities}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error)
    }
}
