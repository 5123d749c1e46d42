//! TCP as networks and attackers deliver it: repeated, out of order, overlapping, with holes.

use observation::{Flaws, Observation};

use crate::wire::By::{self, Client, Server};
use crate::wire::{ACK, Chance, Talk, bursts, closed, excerpts};

/// The server's first payload byte.
const FIRST: u32 = u32::MAX - 4;

fn server_says(parts: &[(u32, &[u8])]) -> Vec<Observation<'static>> {
    let mut talk = Talk::new().handshake();
    for &(offset, bytes) in parts {
        talk = talk.wait(1).raw(Server, (FIRST.wrapping_add(offset), 1001, ACK), bytes);
    }
    talk.told()
}

#[test]
fn a_retransmission_is_not_counted_twice() {
    let told = server_says(&[(0, b"id; "), (0, b"id; "), (2, b"; uname\n"), (0, b"id")]);
    assert_eq!(excerpts(&told), ["id; uname\n"]);
    let closed = &closed(&told)[0];
    assert_eq!((closed.responder.payload_bytes, closed.flaws), (10, Flaws::NONE));
}

#[test]
fn segments_out_of_order_are_put_in_order_across_the_wrap() {
    let told = server_says(&[(8, b"-a\n"), (4, b"name"), (0, b"id;u")]);
    assert_eq!(excerpts(&told), ["id;uname-a\n"]);
    assert_eq!(closed(&told)[0].flaws, Flaws::REORDERED);
}

#[test]
fn repeated_bytes_that_differ_are_a_flaw() {
    let delivered = server_says(&[(0, b"ls -l\n"), (0, b"rm -r\n")]);
    let waiting = server_says(&[(3, b"-l\n"), (0, b"rm -r\n")]);
    for told in [delivered, waiting] {
        assert!(closed(&told)[0].flaws.has(Flaws::OVERLAP_DIFFERS));
    }
    assert!(
        !closed(&server_says(&[(3, b"-l\n"), (0, b"ls -l\n")]))[0]
            .flaws
            .has(Flaws::OVERLAP_DIFFERS)
    );
}

#[test]
fn what_the_capture_lost_is_a_gap() {
    let talk = Talk::new().handshake().says(Server, b"id\n");
    let mut talk = talk.wait(1).says(Server, b"lost\n").says(Server, b"whoami\n");
    talk.frames.remove(4);
    let told = talk.wait(1).tcp(Client, ACK, b"").wait(200).says(Client, b"root\n").told();
    assert_eq!(excerpts(&told), ["id\nwhoami\n", "root\n"]);
    let closed = &closed(&told)[0];
    assert!(closed.flaws.has(Flaws::GAP) && !closed.flaws.has(Flaws::REORDERED));
    assert_eq!(closed.responder.payload_bytes, 15);
}

#[test]
fn a_hole_that_fills_late_is_still_heard() {
    // A forged segment in the window; the real ones come after the hole was given up.
    let talk = Talk::new().handshake();
    let forged = (talk.server_seq.wrapping_add(100), 1001, ACK);
    let talk = talk.raw(Server, forged, b"noise").wait(5000).says(Server, b"whoami\n");
    let told = talk.wait(10).says(Client, b"root\n").told();
    assert!(excerpts(&told).iter().any(|text| text.contains("whoami\n")), "{told:?}");
}

#[test]
fn a_segment_out_of_all_proportion_is_left_aside() {
    let talk = Talk::new().handshake();
    let forged = (talk.server_seq.wrapping_add(1 << 30), 1001, ACK);
    let told = talk.raw(Server, forged, b"noise").says(Server, b"id\n").told();
    assert_eq!(excerpts(&told), ["id\n"]);
    assert!(closed(&told)[0].flaws.has(Flaws::BAD_HEADER));
}

#[test]
fn a_keep_alive_is_nothing_new() {
    let told = server_says(&[(0, b"id\n"), (2, b"\0")]);
    assert_eq!(bursts(&told)[0].bytes, 3);
}

/// The pauses before what the server says, in milliseconds.
fn pauses(talk: Talk) -> Vec<u64> {
    let told = talk.told();
    bursts(&told).iter().map(|burst| burst.pause_before.as_millis()).collect()
}

#[test]
fn what_is_sent_again_and_goes_on_breaks_no_silence() {
    let again = |talk: Talk| talk.wait(1_200).raw(Server, (FIRST, 1001, ACK), b"tick\ntock\n");
    let said = |acked: u32| {
        let talk = Talk::new().handshake().wait(2_000).raw(Server, (FIRST, 1001, ACK), b"tick\n");
        talk.wait(20).raw(Client, (1001, FIRST.wrapping_add(acked), ACK), b"")
    };
    assert_eq!(pauses(again(said(0))), [2_000, 0]);
    // It had to wait for nothing: whoever says so has made it up.
    assert_eq!(pauses(again(said(5))), [2_000, 1_220]);
    // Nothing new is nothing said.
    let kept_alive = said(5).wait(1_000).raw(Server, (FIRST.wrapping_add(4), 1001, ACK), b"\0");
    let repeated = kept_alive.wait(1_000).raw(Server, (FIRST, 1001, ACK), b"tick\n");
    assert_eq!(pauses(again(repeated)), [2_000, 3_220]);
}

/// Says the same things, cut, repeated and shuffled in another way.
fn recut(chance: &mut Chance, turns: &[(By, Vec<u8>)]) -> Talk {
    let mut talk = Talk::new().handshake();
    for (from, said) in turns {
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < said.len() {
            let len_max = if chance.below(3) == 0 { 3 } else { 900 };
            let len = 1 + chance.below(len_max) as usize;
            let end = said.len().min(at + len);
            pieces.push((at, end));
            if chance.below(4) == 0 {
                pieces.push((at.saturating_sub(chance.below(20) as usize), end));
            }
            at = end;
        }
        for _ in 0..pieces.len() / 2 {
            let one = chance.below(pieces.len() as u64) as usize;
            let near = (one + 1 + chance.below(4) as usize).min(pieces.len() - 1);
            pieces.swap(one, near);
        }
        let (base, ack) = match from {
            Client => (talk.client_seq, talk.server_seq),
            Server => (talk.server_seq, talk.client_seq),
        };
        for (start, end) in pieces {
            let seq = base.wrapping_add(start as u32);
            talk = talk.raw(*from, (seq, ack, ACK), &said[start..end]);
        }
        match from {
            Client => talk.client_seq = base.wrapping_add(said.len() as u32),
            Server => talk.server_seq = base.wrapping_add(said.len() as u32),
        }
        talk = talk.wait(30);
    }
    talk.fin(Client).fin(Server)
}

/// What must not depend on the cutting: all but times, segments and packet counts.
fn essence(told: &[Observation<'static>]) -> Vec<String> {
    let mut lines: Vec<String> = bursts(told)
        .iter()
        .map(|b| format!("{:?} {} {:?} {:?} {:?}", b.side, b.bytes, b.shape, b.grammar, b.excerpt))
        .collect();
    for closed in closed(told) {
        let (one, two) = (closed.originator.payload_bytes, closed.responder.payload_bytes);
        lines.push(format!("{one} {two} {:?} {:?}", closed.state, closed.protocols));
    }
    lines
}

#[test]
fn cutting_a_stream_differently_changes_nothing() {
    let mut chance = Chance(7);
    let binary = chance.bytes(6000);
    let conversations: [Vec<(By, Vec<u8>)>; 3] = [
        vec![
            (Server, b"id; uname -a\n".to_vec()),
            (Client, b"uid=0(root) gid=0\n/ # ".to_vec()),
            (Server, b"cat /etc/passwd\n".to_vec()),
            (Client, b"root:x:0:0:root:/root:/bin/sh\n".repeat(300)),
        ],
        vec![
            (Client, b"GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: x\r\n\r\n".to_vec()),
            (Server, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec()),
            (Client, b"GET /two HTTP/1.1\r\nHost: example.com\r\n\r\n".to_vec()),
            (Server, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ],
        vec![(Client, binary.clone()), (Server, binary)],
    ];
    for turns in &conversations {
        let mut whole = Talk::new().handshake();
        for (from, said) in turns {
            whole = whole.says(*from, said).wait(30);
        }
        let expected = essence(&whole.fin(Client).fin(Server).told());
        for _ in 0..40 {
            assert_eq!(essence(&recut(&mut chance, turns).told()), expected);
        }
    }
}
