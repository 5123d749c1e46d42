//! Services that are told by the paths of their requests: gRPC names its services there, and some
//! interfaces over HTTP have paths of their own.

/// The service that a request's target belongs to.
pub(super) fn by_target(target: &str) -> Option<&'static str> {
    let path = target.split('?').next().unwrap_or(target);
    let known = SERVICES.iter().find(|(prefix, _)| path.starts_with(prefix));
    known.map(|(_, service)| *service).or_else(|| is_docker(path).then_some("docker"))
}

/// The service that a response's field belongs to.
pub(super) fn by_field(name: &[u8], value: &[u8]) -> Option<&'static str> {
    let known = FIELDS.iter().find(|(field, only, _)| {
        field.eq_ignore_ascii_case(name) && only.is_none_or(|only| only == value)
    });
    known.map(|(_, _, service)| *service)
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
    // Cedar.h of SoftEther's source: HTTP_VPN_TARGET2 and HTTP_VPN_TARGET.
    ("/vpnsvc/connect.cgi", "softether"),
    ("/vpnsvc/vpn.cgi", "softether"),
];

/// A field's name, where it matters its value, and a service.
type Field = (&'static [u8], Option<&'static [u8]>, &'static str);

/// What their servers put into every response. SoftEther's HTTP_KEEP_ALIVE has a semicolon where
/// everybody else has a comma.
const FIELDS: &[Field] = &[
    (b"api-version", None, "docker"),
    (b"x-etcd-cluster-id", None, "etcd"),
    (b"keep-alive", Some(b"timeout=15; max=19"), "softether"),
];

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
    fn softether_is_a_watermark_and_an_answer_of_its_own() {
        let asks = client(
            b"POST /vpnsvc/connect.cgi HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\n\
              Content-Length: 10\r\n\r\nVPNCONNECT",
        );
        let answers = server(
            b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=15; max=19\r\n\
              Content-Type: application/octet-stream\r\nContent-Length: 4\r\n\r\n\0\0\0\0",
        );
        assert_eq!(Story::of(&[asks, answers]).names, ["http", "softether"]);
        // A web server that has no such path, and a page elsewhere.
        let others = server(
            b"HTTP/1.1 404 Not Found\r\nKeep-Alive: timeout=15, max=19\r\n\
              Content-Length: 0\r\n\r\n",
        );
        assert_eq!(Story::of(&[asks, others]).names, ["http"]);
        let page = client(b"GET /vpn.cgi HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(Story::of(&[page, answers]).names, ["http"]);
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
