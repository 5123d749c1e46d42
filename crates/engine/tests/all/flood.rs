//! A neighbour that floods: flows, names and processes of one container.

use std::net::IpAddr;

use observation::Transport;

use crate::talk::Talk;
use crate::world::{Box_, START_MS, World, words};

pub(crate) fn flooder() -> Box_ {
    Box_::throw_away(200, "/opt/flood")
}

/// `count` flows to as many far ends, some refused and some that speak; as many lookups and
/// programs.
pub(crate) fn flood(world: &mut World, count: u32) {
    let it = flooder();
    world.start(&it);
    for number in 0..count {
        let ms = START_MS + 300 + u64::from(number / 2);
        let [_, second, third, fourth] = number.to_be_bytes();
        let far = (IpAddr::from([203, second, third, fourth]), 9000);
        let port = 10_000 + u16::try_from(number % 50_000).unwrap();
        let near = (it.address, port);
        let mut talk = Talk::open_at(it.port, Transport::Tcp, near, far, ms);
        world.socket(&talk, it.cgroup, 100_000 + number);
        talk.wait(1);
        let mut talk = if number % 3 == 0 { talk } else { talk.accepted() };
        if number % 3 == 2 {
            talk.far(2, "id\n").near(3, "uid=0(root) gid=0(root)\n");
        }
        world.talk(talk.end());
        world.dns(&it, ms, &format!("x{number}.example.net"), Err(3));
        world.process(&it, 100_000 + number, it.pid, ms, &words("/opt/flood -v"));
    }
}
