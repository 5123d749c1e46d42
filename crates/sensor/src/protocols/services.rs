//! Services that are told by the paths of their requests: gRPC names its services there, and some
//! interfaces over HTTP have paths of their own.

/// The service that a request's target belongs to.
pub(super) fn by_target(target: &str) -> Option<&'static str> {
    let path = target.split('?').next().unwrap_or(target);
    let known = SERVICES.iter().find(|(prefix, _)| path.starts_with(prefix));
    known.map(|(_, service)| *service).or_else(|| is_docker(path).then_some("docker"))
}

/// The service that a response's field belongs to.
pub(super) fn by_field(name: &[u8]) -> Option<&'static str> {
    let known = FIELDS.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
    known.map(|(_, service)| *service)
}

/// The Docker Engine's interface: a version, then one of its collections.
fn is_docker(path: &str) -> bool {
    let Some((version, rest)) = path.strip_prefix("/v1.").and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let collection = rest.split('/').next().unwrap_or(rest);
    let is_version = matches!(version.len(), 1..=2) && version.bytes().all(|b| b.is_ascii_digit());
    is_version && COLLECTIONS.contains(&collection)
}

/// The packages of gRPC services (their `.proto` files), and etcd's own way between its members.
const SERVICES: &[(&str, &str)] = &[
    ("/etcdserverpb.", "etcd"),
    ("/v3lockpb.", "etcd"),
    ("/v3electionpb.", "etcd"),
    ("/raft/stream/", "etcd"),
    ("/containerd.", "containerd"),
    ("/runtime.v1.RuntimeService/", "cri"),
    ("/runtime.v1.ImageService/", "cri"),
    ("/moby.buildkit.", "buildkit"),
];

/// What Docker's and etcd's servers put into every response.
const FIELDS: &[(&[u8], &str)] = &[(b"api-version", "docker"), (b"x-etcd-cluster-id", "etcd")];

/// Docker Engine API, "Paths".
const COLLECTIONS: &[&str] = &[
    "containers",
    "images",
    "networks",
    "volumes",
    "exec",
    "swarm",
    "nodes",
    "services",
    "tasks",
    "secrets",
    "configs",
    "plugins",
    "system",
    "distribution",
    "build",
    "events",
    "info",
    "auth",
    "commit",
    "session",
    "grpc",
    "version",
];

#[cfg(test)]
mod tests {
    use super::by_target;
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn docker_is_what_is_asked_and_answered_as_docker_does() {
        let asks = client(b"GET /v1.47/containers/json HTTP/1.1\r\nHost: docker\r\n\r\n");
        let answers = server(
            b"HTTP/1.1 200 OK\r\nApi-Version: 1.47\r\nServer: Docker/27.3.1\r\nContent-Length: 2\r\n\r\n[]",
        );
        let story = Story::of(&[asks, answers]);
        assert_eq!(story.names, ["http", "docker"]);
        // A server of something else answers; and a field alone is nobody's.
        let story =
            Story::of(&[asks, server(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")]);
        assert_eq!(story.names, ["http"]);
        let other = client(b"GET /users HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(Story::of(&[other, answers]).names, ["http"]);
    }

    #[test]
    fn paths_name_their_services() {
        assert_eq!(by_target("/etcdserverpb.KV/Range"), Some("etcd"));
        assert_eq!(by_target("/v1.47/containers/json?all=1"), Some("docker"));
        assert_eq!(by_target("/v1.24/info"), Some("docker"));
        assert_eq!(by_target("/containerd.services.tasks.v1.Tasks/Exec"), Some("containerd"));
    }

    #[test]
    fn a_path_that_looks_alike_names_nothing() {
        for target in ["/v1/containers/json", "/v1.x/containers", "/v1.24/users", "/info", "/"] {
            assert_eq!(by_target(target), None, "{target}");
        }
    }
}
