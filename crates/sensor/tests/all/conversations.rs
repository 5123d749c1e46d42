//! What is told of whole conversations.

use observation::{
    ConnState, Echo, Fact, FactKind, Flaws, Grammar, LocalSide, PortId, Side, Span, Tail,
};
use sensor::{Direction, LinkType};

use crate::wire::By::{Client, Server};
use crate::wire::{
    ACK, Chance, FIN, Frame, RST, SERVER, SYN, Talk, bursts, closed, excerpts, ip, keep, ms,
    sensor, tell, udp_packet,
};

fn state_of(talk: &Talk) -> ConnState {
    closed(&talk.told())[0].state
}

#[test]
fn the_far_end_commands_and_the_container_sends_nothing() {
    let talk = Talk::new().handshake().wait(2).says(Server, b"id; uname -a\n").fin(Client);
    let talk = talk.wait(1).fin(Server).tcp(Client, ACK, b"");
    let told = talk.told();
    let kinds: Vec<FactKind> = told.iter().map(|told| told.fact.kind()).collect();
    assert_eq!(
        kinds,
        [FactKind::FlowOpened, FactKind::FlowEstablished, FactKind::Burst, FactKind::FlowClosed]
    );
    let Fact::FlowOpened(opened) = &told[0].fact else { panic!("{:?}", told[0]) };
    assert_eq!(opened.local, LocalSide::Originator);
    assert_eq!((opened.key.responder.port, opened.key.port), (4444, PortId(7)));
    let burst = &bursts(&told)[0];
    assert_eq!((burst.side, burst.bytes, burst.grammar), (Side::Responder, 13, Grammar::None));
    assert_eq!((burst.shape.tail, burst.shape.printable_percent), (Tail::LineEnd, 100));
    assert_eq!(burst.pause_before, Span::from_millis(2));
    let closed = &closed(&told)[0];
    assert_eq!((closed.state, closed.burst_count), (ConnState::SF, 1));
    assert_eq!((closed.originator.payload_bytes, closed.responder.payload_bytes), (0, 13));
    assert_eq!(closed.flaws, Flaws::NONE);
    assert!(told.iter().enumerate().all(|(order, told)| told.order == order as u64));
}

#[test]
fn a_burst_is_told_when_nothing_follows() {
    let talk = Talk::new().handshake().says(Server, b"$ ");
    let (mut sensor, mut all) = (sensor(), Vec::new());
    for frame in &talk.frames {
        sensor.packet(frame.packet(), &mut |told| all.push(keep(told)));
    }
    sensor.advance(ms(249), &mut |told| all.push(keep(told)));
    assert!(bursts(&all).is_empty());
    sensor.advance(ms(60_000), &mut |told| all.push(keep(told)));
    assert_eq!(excerpts(&all), ["$ "]);
    assert_eq!(all.last().unwrap().at, ms(250));
}

#[test]
fn keystrokes_are_bursts_and_a_terminal_echoes_them() {
    let mut talk = Talk::new().handshake().says(Client, b"/ # ");
    for key in [b"l", b"s"] {
        talk = talk.wait(300).says(Server, key).wait(5).says(Client, key);
    }
    talk = talk.wait(300).says(Server, b"\r").wait(5).says(Client, b"\r\nbin\r\n/ # ");
    let bursts = bursts(&talk.told());
    assert_eq!(bursts.len(), 7);
    assert_eq!(bursts[0].shape.tail, Tail::Prompt);
    for pair in bursts[1..].chunks(2) {
        assert_eq!((pair[0].side, pair[0].shape.echo), (Side::Responder, Echo::None));
        assert_eq!((pair[1].side, pair[1].shape.echo), (Side::Originator, Echo::Repeats));
    }
}

#[test]
fn data_after_the_clients_fin_counts_and_is_told() {
    let talk = Talk::new().handshake().fin(Client).wait(40).says(Server, b"whoami\n");
    let told = talk.told();
    assert_eq!(excerpts(&told), ["whoami\n"]);
    let closed = &closed(&told)[0];
    assert_eq!((closed.responder_bytes_after_close, closed.state), (7, ConnState::S2));
    assert!(!closed.flaws.has(Flaws::DATA_AFTER_CLOSE));
}

#[test]
fn data_after_the_senders_own_fin_is_a_flaw() {
    let talk = Talk::new().handshake().fin(Server).wait(1).says(Server, b"whoami\n");
    let told = talk.told();
    assert_eq!(excerpts(&told), ["whoami\n"]);
    assert!(closed(&told)[0].flaws.has(Flaws::DATA_AFTER_CLOSE));
}

#[test]
fn a_command_after_twenty_idle_minutes_belongs_to_its_session() {
    let talk = Talk::new().handshake().says(Server, b"id\n").says(Client, b"uid=0\n");
    let told = talk.wait(20 * 60_000).says(Server, b"whoami\n").told();
    assert_eq!(closed(&told).len(), 1);
    assert_eq!(bursts(&told)[2].pause_before, Span::from_secs(20 * 60));
}

#[test]
fn a_datagram_after_idle_minutes_opens_the_same_flow_anew() {
    let talk = Talk::new().udp(Client, b"hello\n").udp(Server, b"id\n").udp(Client, b"uid=0\n");
    let told = talk.wait(20 * 60_000).udp(Server, b"whoami\n").told();
    let closed = closed(&told);
    assert_eq!(closed.len(), 2);
    assert_eq!(closed[0].key, closed[1].key);
    assert_ne!(closed[0].flow, closed[1].flow);
    assert_eq!((closed[0].state, closed[1].state), (ConnState::SF, ConnState::SHR));
}

#[test]
fn a_syn_ack_first_means_that_its_receiver_opened() {
    let closed = &closed(&Talk::new().tcp(Server, SYN | ACK, b"").told())[0];
    assert_eq!((closed.key.responder.port, closed.local), (4444, LocalSide::Originator));
    assert!(!closed.flaws.has(Flaws::MIDSTREAM) && closed.flaws.has(Flaws::ONE_SIDED));
}

#[test]
fn a_flow_that_was_under_way_is_guessed_and_says_so() {
    let talk = Talk::new().says(Server, b"id\n").says(Client, b"uid=0\n");
    let told = talk.told();
    let closed = &closed(&told)[0];
    assert_eq!((closed.key.responder.port, closed.state), (4444, ConnState::Oth));
    assert!(closed.flaws.has(Flaws::MIDSTREAM));
    assert_eq!(excerpts(&told), ["id\n", "uid=0\n"]);
}

#[test]
fn conn_states_are_zeeks() {
    let open = || Talk::new().handshake();
    let syn = || Talk::new().tcp(Client, SYN, b"");
    let cases = [
        (syn(), ConnState::S0),
        (syn().tcp(Server, RST | ACK, b""), ConnState::Rej),
        (syn().tcp(Client, RST, b""), ConnState::RstOS0),
        (syn().fin(Client), ConnState::SH),
        (Talk::new().tcp(Server, SYN | ACK, b"").fin(Server), ConnState::SHR),
        (open(), ConnState::S1),
        (open().fin(Client), ConnState::S2),
        (open().fin(Server), ConnState::S3),
        (open().fin(Client).fin(Server), ConnState::SF),
        (open().says(Client, b"x").tcp(Client, RST, b""), ConnState::RstO),
        (open().says(Client, b"x").tcp(Server, RST, b""), ConnState::RstR),
    ];
    for (place, (talk, state)) in cases.iter().enumerate() {
        assert_eq!(state_of(talk), *state, "case {place}");
    }
}

#[test]
fn a_new_syn_between_the_same_ends_is_another_flow() {
    let mut talk = Talk::new().handshake().says(Server, b"id\n").fin(Client).fin(Server);
    (talk.client_seq, talk.server_seq) = (77_000, 99_000);
    let told = talk.wait(10).handshake().says(Server, b"ls\n").told();
    assert_eq!(closed(&told).len(), 2);
    assert_eq!(excerpts(&told), ["id\n", "ls\n"]);
}

#[test]
fn a_forged_reset_does_not_blind() {
    let talk = Talk::new().handshake().says(Server, b"id\n");
    let talk = talk.raw(Client, (5, 0, RST), b"").wait(900).says(Client, b"uid=0\n");
    let talk = talk.wait(5000).says(Server, b"whoami\n").says(Client, b"root\n");
    let told = talk.told();
    assert!(excerpts(&told).contains(&"whoami\n".to_owned()));
    let keys: Vec<_> = closed(&told).iter().map(|closed| closed.key).collect();
    assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_reset_that_no_receiver_believes_ends_nothing() {
    let talk = Talk::new().handshake().says(Server, b"id\n");
    let talk = talk.raw(Client, (1 << 30, 0, RST), b"").wait(60_000).says(Client, b"uid=0\n");
    let told = talk.told();
    assert_eq!(closed(&told).len(), 1);
    assert_eq!(closed(&told)[0].state, ConnState::S1);
}

#[test]
fn a_forged_end_does_not_turn_the_roles_round() {
    // Ports that would mislead a guess: the client's is low, the server's is ephemeral.
    let open = || Talk::between("172.17.0.2:443", "198.51.100.10:50000").handshake();
    let forged = |talk: Talk, flags| {
        let seq = talk.client_seq;
        talk.raw(Client, (seq, 1, flags), b"").wait(5000).says(Server, b"whoami\n")
    };
    for flags in [RST, SYN | ACK] {
        let talk = open().says(Server, b"id\n").says(Client, b"uid=0\n");
        let closed = closed(&forged(talk, flags).told());
        assert!(closed.iter().all(|closed| closed.key.originator.port == 443), "{closed:?}");
    }
}

#[test]
fn traffic_between_containers_is_a_flow_at_each_port() {
    let mut talk = Talk::new().handshake();
    let mut other = talk.frames.clone();
    for frame in &mut other {
        frame.port = PortId(8);
        frame.direction = match frame.direction {
            Direction::Inward => Direction::Outward,
            _ => Direction::Inward,
        };
    }
    talk.frames.extend(other);
    talk.frames.sort_by_key(|frame| frame.at);
    let mut closed = closed(&talk.told());
    closed.sort_by_key(|closed| closed.key.port);
    assert_eq!(closed[0].local, LocalSide::Originator);
    assert_eq!((closed[1].key.port, closed[1].local), (PortId(8), LocalSide::Responder));
}

#[test]
fn frames_and_bytes_are_counted_at_each_port() {
    let talk = Talk::new().handshake().says(Server, b"id\n");
    let mut sensor = sensor();
    for frame in &talk.frames {
        sensor.packet(frame.packet(), &mut |_| {});
    }
    let traffic = sensor.port_traffic(PortId(7));
    assert_eq!((traffic.frames_out, traffic.bytes_out), (2, 80));
    assert_eq!((traffic.frames_in, traffic.bytes_in), (2, 83));
    assert_eq!(sensor.port_traffic(PortId(8)), Default::default());
}

#[test]
fn a_packet_from_the_year_2100_flushes_nothing() {
    let mut talk = Talk::new().handshake().says(Server, b"id\n").says(Client, b"uid=0\n");
    talk = talk.wait(10).says(Server, b"ls\n").wait(10).says(Client, b"bin\n").fin(Client);
    let honest = talk.told();
    talk.frames[5].at = ms(73 * 365 * 86_400_000);
    let told = talk.told();
    assert_eq!(excerpts(&told), excerpts(&honest));
    let closed = closed(&told);
    assert_eq!(closed.len(), 1);
    assert!(closed[0].flaws.has(Flaws::TIME_JUMP));
    assert!(told.iter().all(|told| told.at < ms(86_400_000)));
}

#[test]
fn packets_from_the_past_are_told_at_the_running_time() {
    let mut talk = Talk::new().handshake().wait(5000).says(Server, b"id\n").wait(1);
    talk = talk.says(Client, b"uid=0\n").wait(1).says(Server, b"ls\n");
    talk.frames[4].at = ms(0);
    let told = talk.told();
    assert!(closed(&told)[0].flaws.has(Flaws::TIME_JUMP));
    assert!(told.windows(2).all(|pair| pair[0].at <= pair[1].at));
}

#[test]
fn an_icmp_echo_is_one_flow() {
    let (client, server) = (Talk::new().client.ip(), Talk::new().server.ip());
    let frame = |from, to, kind, direction| Frame {
        at: ms(0),
        port: PortId(7),
        direction,
        link: LinkType::RawIp,
        bytes: ip(from, to, 1, &[kind, 0, 0, 0, 0, 1, 0, 1, b'h', b'i']),
    };
    let told = tell(&[
        frame(client, server, 8, Direction::Outward),
        frame(server, client, 0, Direction::Inward),
    ]);
    let closed = &closed(&told)[0];
    assert_eq!((closed.key.originator.port, closed.key.responder.port), (8, 0));
    assert_eq!((closed.originator.packets, closed.responder.packets), (1, 1));
    assert_eq!(bursts(&told)[1].shape.echo, Echo::Repeats);
}

#[test]
fn a_tunnels_inside_is_what_counts() {
    let inner = Talk::new().handshake().says(Server, b"id\n");
    let frames: Vec<Frame> = inner.frames.iter().map(|frame| in_vxlan(1, frame)).collect();
    let told = tell(&frames);
    assert_eq!(excerpts(&told), ["id\n"]);
    assert_eq!(
        closed(&told)[0].key.responder.address,
        SERVER.parse::<std::net::SocketAddr>().unwrap().ip()
    );
}

fn in_vxlan(network: u8, frame: &Frame) -> Frame {
    let mut vxlan = vec![8, 0, 0, 0, 0, 0, network, 0];
    vxlan.extend([2; 12]);
    vxlan.extend([8, 0]);
    vxlan.extend(&frame.bytes);
    let ends = ("10.1.0.1:50000".parse().unwrap(), "10.1.0.2:4789".parse().unwrap());
    Frame { bytes: udp_packet(ends.0, ends.1, &vxlan), ..frame.clone() }
}

#[test]
fn the_same_ends_in_two_networks_of_an_overlay_are_two_flows() {
    let [one, two] = [b"id\n", b"w\n\n"].map(|said| Talk::new().handshake().says(Server, said));
    let both = one.frames.iter().zip(&two.frames);
    let mixed: Vec<Frame> =
        both.flat_map(|(one, two)| [in_vxlan(1, one), in_vxlan(2, two)]).collect();
    let told = tell(&mixed);
    let ends = closed(&told);
    assert_eq!((ends.len(), ends[0].key), (2, ends[1].key));
    assert_ne!(ends[0].flow, ends[1].flow);
    assert!(ends.iter().all(|end| !end.flaws.has(Flaws::OVERLAP_DIFFERS)));
    let one = frames_of(&one, 1);
    assert_eq!(closed(&tell(&one)).len(), 1);
}

fn frames_of(talk: &Talk, network: u8) -> Vec<Frame> {
    talk.frames.iter().map(|frame| in_vxlan(network, frame)).collect()
}

#[test]
fn fragments_are_one_datagram() {
    let whole = Talk::new().udp(Server, &[b'x'; 40]).frames.remove(0);
    let mut first = whole.clone();
    first.bytes.truncate(20 + 24);
    first.bytes[2..4].copy_from_slice(&44u16.to_be_bytes());
    first.bytes[6..8].copy_from_slice(&0x2000u16.to_be_bytes());
    let mut second = whole.clone();
    second.bytes.drain(20..44);
    second.bytes[2..4].copy_from_slice(&44u16.to_be_bytes());
    second.bytes[6..8].copy_from_slice(&3u16.to_be_bytes());
    for frames in [[first.clone(), second.clone()], [second, first]] {
        let told = tell(&frames);
        assert_eq!(bursts(&told)[0].bytes, 40);
        assert!(closed(&told)[0].flaws.has(Flaws::FRAGMENTED));
    }
}

#[test]
fn an_encrypted_flow_tells_only_its_first_bursts_and_text_all() {
    let mut keys = vec![0, 0, 0, 12, 10, 20];
    keys.extend([0; 10]);
    keys.extend([0, 0, 0, 12, 10, 21]);
    keys.extend([0; 10]);
    let hello = [b"SSH-2.0-OpenSSH_9.2p1\r\n", &keys[..]].concat();
    let mut ssh = Talk::new().handshake().says(Server, &hello).says(Client, &hello).wait(300);
    let mut text = Talk::new().handshake();
    let mut chance = Chance(5);
    for _ in 0..300 {
        let (one, two) = (chance.bytes(200), chance.bytes(200));
        ssh = ssh.wait(1).says(Client, &one).wait(1).says(Server, &two);
        text = text.wait(1).says(Client, b"whoami\n").wait(1).says(Server, b"root\n");
    }
    let told = ssh.told();
    assert_eq!(closed(&told)[0].protocols, ["ssh"]);
    assert_eq!((bursts(&told).len(), closed(&told)[0].burst_count), (256, 602));
    assert_eq!(bursts(&text.told()).len(), 600);
}

#[test]
fn a_push_without_a_handshake_answer_establishes_nothing() {
    let talk = Talk::new().tcp(Client, SYN, b"").tcp(Client, ACK, b"x").tcp(Client, FIN | ACK, b"");
    let told = talk.told();
    assert!(told.iter().all(|told| told.fact.kind() != FactKind::FlowEstablished));
    assert!(closed(&told)[0].flaws.has(Flaws::ONE_SIDED));
}

/// The port of the one that is sent to is a client's: it is taken for the opener, and no more.
#[test]
fn what_a_stranger_sends_midstream_is_established_only_by_whom_it_is_sent_to() {
    let is_established = |talk: Talk| {
        let told = talk.told();
        told.iter().any(|told| told.fact.kind() == FactKind::FlowEstablished)
    };
    let sent = || Talk::new().tcp(Server, ACK, b"id; uname -a\n");
    assert!(!is_established(sent()));
    assert!(!is_established(sent().tcp(Client, RST, b"")), "nobody is there");
    assert!(!is_established(sent().tcp(Client, RST, b"").tcp(Server, ACK, b"id\n")));
    assert!(is_established(sent().tcp(Client, ACK, b"")), "somebody is");
}

/// What a file holds looks like nothing, or like anything: the control connection says what it is.
#[test]
fn a_data_connection_is_what_ftp_announced_unless_its_bytes_say_otherwise() {
    let control = Talk::between("172.17.0.2:40000", "198.51.100.10:21")
        .handshake()
        .says(Server, b"220 ready\r\n")
        .says(Client, b"USER a\r\n")
        .says(Server, b"230 in\r\n")
        .says(Client, b"PASV\r\n")
        .says(Server, b"227 Entering (10,9,9,9,195,80)\r\n");
    let data = |said: &[u8]| {
        let data = Talk::between("172.17.0.2:40001", "198.51.100.10:50000");
        let data = data.handshake().says(Server, said).fin(Server).fin(Client);
        let flows = closed(&tell(&[control.frames.clone(), data.frames].concat()));
        let data = flows.into_iter().find(|flow| flow.key.responder.port == 50_000);
        data.unwrap().protocols
    };
    assert_eq!(data(b"\xfe\x01\x02\x03file"), ["ftp_data"]);
    assert_eq!(data(b"SSH-2.0-OpenSSH_9.2\r\n"), ["ssh"]);
    // The next one was announced by nobody.
    let stranger = Talk::between("172.17.0.2:40001", "198.51.100.10:50001");
    let stranger = stranger.handshake().says(Server, b"\xfe\x01\x02\x03file");
    let flows = closed(&tell(&[control.frames, stranger.frames].concat()));
    assert!(
        flows.iter().any(|flow| flow.key.responder.port == 50_001 && flow.protocols.is_empty())
    );
}
