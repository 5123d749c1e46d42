//! The few expressions of a cut's rules: `linux/netfilter/nf_tables.h`.

use crate::native::{array_at, text};
use crate::netlink::{Message, attribute, attributes};

/// `counter drop`
pub(super) fn count_and_drop(list: Message) -> Message {
    let list = expression(list, "counter", |data| {
        data.attribute(COUNTER_BYTES, &0_u64.to_be_bytes())
            .attribute(COUNTER_PACKETS, &0_u64.to_be_bytes())
    });
    expression(list, "immediate", |data| {
        number(data, IMMEDIATE_REGISTER, REGISTER_VERDICT).nest(IMMEDIATE_DATA, |value| {
            value.nest(DATA_VERDICT, |verdict| number(verdict, VERDICT_CODE, DROP))
        })
    })
}

/// `iif != "lo"`
pub(super) fn not_from_loopback(list: Message) -> Message {
    compare(meta(list, META_INPUT_INDEX), NOT_EQUAL, &LOOPBACK.to_ne_bytes())
}

/// `oif != "lo"`
pub(super) fn not_to_loopback(list: Message) -> Message {
    compare(meta(list, META_OUTPUT_INDEX), NOT_EQUAL, &LOOPBACK.to_ne_bytes())
}

/// `ip daddr 127.0.0.11`: our priority comes before the translation to the resolver's real port.
pub(super) fn to_docker_resolver(list: Message) -> Message {
    let list = compare(meta(list, META_PROTOCOL_FAMILY), EQUAL, &[PROTOCOL_IPV4]);
    let list = expression(list, "payload", |data| {
        let data = number(data, PAYLOAD_REGISTER, REGISTER_1);
        let data = number(data, PAYLOAD_BASE, NETWORK_HEADER);
        let data = number(data, PAYLOAD_OFFSET, IPV4_DESTINATION);
        number(data, PAYLOAD_LENGTH, 4)
    });
    compare(list, EQUAL, &DOCKER_RESOLVER)
}

/// Bytes and packets of the first counter among a rule's expressions.
pub(super) fn counter(expressions: &[u8]) -> Option<(u64, u64)> {
    attributes(expressions).find_map(|(_, element)| {
        if attribute(element, EXPRESSION_NAME).map(text)? != "counter" {
            return None;
        }
        let data = attribute(element, EXPRESSION_DATA)?;
        let value = |kind| array_at(attribute(data, kind)?, 0).map(u64::from_be_bytes);
        Some((value(COUNTER_BYTES)?, value(COUNTER_PACKETS)?))
    })
}

fn expression(list: Message, name: &str, fill: impl FnOnce(Message) -> Message) -> Message {
    list.nest(LIST_ELEMENT, |element| {
        element.text(EXPRESSION_NAME, name).nest(EXPRESSION_DATA, fill)
    })
}

fn meta(list: Message, key: u32) -> Message {
    expression(list, "meta", |data| number(number(data, META_REGISTER, REGISTER_1), META_KEY, key))
}

fn compare(list: Message, operation: u32, value: &[u8]) -> Message {
    expression(list, "cmp", |data| {
        let data = number(data, COMPARE_REGISTER, REGISTER_1);
        number(data, COMPARE_OPERATION, operation)
            .nest(COMPARE_DATA, |operand| operand.attribute(DATA_VALUE, value))
    })
}

/// Numbers in nftables' attributes are in network byte order.
fn number(message: Message, kind: u16, value: u32) -> Message {
    message.attribute(kind, &value.to_be_bytes())
}

const LIST_ELEMENT: u16 = 1;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const COUNTER_BYTES: u16 = 1;
const COUNTER_PACKETS: u16 = 2;
const IMMEDIATE_REGISTER: u16 = 1;
const IMMEDIATE_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const META_REGISTER: u16 = 1;
const META_KEY: u16 = 2;
const META_INPUT_INDEX: u32 = 4;
const META_OUTPUT_INDEX: u32 = 5;
const META_PROTOCOL_FAMILY: u32 = 15;
const COMPARE_REGISTER: u16 = 1;
const COMPARE_OPERATION: u16 = 2;
const COMPARE_DATA: u16 = 3;
const PAYLOAD_REGISTER: u16 = 1;
const PAYLOAD_BASE: u16 = 2;
const PAYLOAD_OFFSET: u16 = 3;
const PAYLOAD_LENGTH: u16 = 4;
const REGISTER_VERDICT: u32 = 0;
const REGISTER_1: u32 = 1;
const NETWORK_HEADER: u32 = 1;
const IPV4_DESTINATION: u32 = 16;
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const DROP: u32 = 0;
const PROTOCOL_IPV4: u8 = 2;
/// `lo` is the first interface of every namespace, whatever it is called.
const LOOPBACK: u32 = 1;
const DOCKER_RESOLVER: [u8; 4] = [127, 0, 0, 11];
