//! How does a call of another service fail?

use std::error::Error;

use axum::http::StatusCode;

/// Why a call brought nothing. Its text is for the operator's log, its word for callers and metrics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// Too many calls of the service at once.
    #[error("too many calls of it at once")]
    Overloaded,
    /// No connection, or it broke. The text is the system's or the TLS library's.
    #[error("it can't be reached: {0}")]
    Unreachable(String),
    #[error("it took too long")]
    TimedOut,
    /// 429 or 503, also when asked again, or too long a wait until then.
    #[error("it is busy")]
    Busy,
    /// Any other status that is neither success nor the service's fault: a redirect, a wrong key.
    #[error("it answered with status {0}")]
    Refused(StatusCode),
    #[error("it answered with status {0}")]
    Failed(StatusCode),
    /// Its answer is too large or not of the form agreed on.
    #[error("{0}")]
    Unreadable(&'static str),
}

impl Failure {
    /// What went wrong, in one word.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::Unreachable(_) => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Busy => "busy",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// The cause at the bottom says most: refused, unknown name, a certificate that isn't trusted.
    pub(super) fn unreachable(error: &dyn Error) -> Self {
        let mut cause = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Self::Unreachable(cause.to_string())
    }
}
