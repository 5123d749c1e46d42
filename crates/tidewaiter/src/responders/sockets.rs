//! The sockets of a container's network namespace, with owner, queues and bytes: sock_diag(7).

use serde_json::{Value, json};
use sys::bpf::Transport;
use sys::netns::{PinnedNetns, SocketEntry};
use sys::process::Process;

/// What was found.
pub(crate) struct Found {
    /// One object a socket.
    pub(crate) json: Value,
    /// Why it is less than everything; empty when it is complete.
    pub(crate) cut: String,
}

/// Everything in the namespace of a process; on the host's network these are all of the host's,
/// each with the cgroup that owns it.
pub(crate) fn of_process(pid: u32) -> sys::Result<Found> {
    let namespace = PinnedNetns::of_process(&Process::open(pid)?)?;
    let list = namespace.socket_diag()?.list()?;
    let cut = match list.omitted_count {
        0 => String::new(),
        count => format!("{count} more sockets were not kept"),
    };
    let sockets: Vec<_> = list.entries.iter().map(socket).collect();
    Ok(Found { json: json!({ "namespace": namespace.inode(), "sockets": sockets }), cut })
}

fn socket(entry: &SocketEntry) -> Value {
    let transport = match entry.transport {
        Transport::Tcp => "tcp".to_owned(),
        Transport::Udp => "udp".to_owned(),
        Transport::Other(number) => number.to_string(),
    };
    json!({
        "transport": transport,
        "state": format!("{:?}", entry.state),
        "local": entry.local.to_string(),
        "remote": entry.remote.to_string(),
        "uid": entry.uid,
        "inode": entry.inode,
        "cgroup": entry.cgroup,
        "cookie": entry.cookie,
        "receive_queue": entry.receive_queue,
        "send_queue": entry.send_queue,
        "acknowledged_bytes": entry.tcp_bytes.map(|(acknowledged, _)| acknowledged),
        "received_bytes": entry.tcp_bytes.map(|(_, received)| received),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_of_ours_is_among_them() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        match of_process(std::process::id()) {
            Ok(found) => {
                let sockets = found.json["sockets"].as_array().unwrap();
                let mine = sockets.iter().find(|socket| socket["local"] == address).unwrap();
                assert_eq!(mine["state"], "Listen");
            }
            // Without root: the refusal says which capability is missing.
            Err(error) => assert!(error.to_string().contains("CAP_"), "{error}"),
        }
    }
}
