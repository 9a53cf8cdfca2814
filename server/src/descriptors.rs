//! How many files and connections may this process have open?
//!
//! Systems commonly allow 1,024 unless a program asks for more, and the store needs its files also while every
//! connection is taken. So the limit is raised to what the system allows, and the connections get what is left of it.

use crate::log;

/// What the store, the database and calls of other services are kept, of the files that may be open.
const OTHER_FILES: u64 = 1024;

/// Raises the process' limit, and answers how many of the connections that are wanted have room in it.
pub(crate) fn room_for(connections: usize) -> usize {
    let wanted = (connections as u64).saturating_add(OTHER_FILES);
    let allowed = raise(wanted);
    let room = within(connections, allowed);
    if room < connections {
        log::warn(&format!(
            "this process may have {allowed} files open, so at most {room} connections are taken instead of {connections}; \
             raise the limit (LimitNOFILE with systemd, ulimit -n in a shell) to {wanted} or more"
        ));
    }
    room
}

fn within(connections: usize, allowed: u64) -> usize {
    let left = allowed.saturating_sub(OTHER_FILES.min(allowed / 2));
    connections.min(usize::try_from(left).unwrap_or(usize::MAX)).max(1)
}

#[cfg(unix)]
fn raise(wanted: u64) -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let Some(current) = now.current.filter(|current| *current < wanted) else {
        return now.current.unwrap_or(u64::MAX);
    };
    let reachable = now.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = Rlimit { current: Some(reachable), maximum: now.maximum };
    if setrlimit(Resource::Nofile, raised).is_ok() { reachable } else { current }
}

#[cfg(not(unix))]
fn raise(_wanted: u64) -> u64 {
    u64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: idle connections would take the files that the store writes to, and writes fail for everybody.
    #[test]
    fn connections_leave_files_for_the_store() {
        assert_eq!(within(4096, u64::MAX), 4096);
        assert_eq!(within(4096, 5120), 4096);
        assert_eq!(within(4096, 4096), 3072);
        assert_eq!(within(4096, 1024), 512);
        assert_eq!(within(4096, 0), 1);
        assert_eq!(within(64, 1024), 64);
    }
}
