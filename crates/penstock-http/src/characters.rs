//! Which bytes may stand where: tokens, targets, hosts, field values. Answers yes or no and changes nothing.
use std::net::Ipv6Addr;

/// RFC 9110 5.6.2: tchar. Field names, methods, list members.
pub(crate) const TOKEN: u8 = 1;
/// Visible ASCII without `#` and `?`: a request target up to its query.
pub(crate) const PATH: u8 = 2;
/// Visible ASCII without `#`: the query. A fragment is never sent (RFC 9112 3.2).
pub(crate) const QUERY: u8 = 4;
/// RFC 3986 3.2.2: reg-name without its percent-encoded triplets.
pub(crate) const REGISTERED_NAME: u8 = 8;
/// tchar without the underscore, which CGI names cannot tell from `-`.
pub(crate) const PLAIN_TOKEN: u8 = 16;

static CLASSES: [u8; 256] = classify();

const fn classify() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0x21_u8;
    while byte < 0x7f {
        let alphanumeric = byte.is_ascii_alphanumeric();
        let mut class = 0;
        if alphanumeric || contains(b"!#$%&'*+-.^_`|~", byte) {
            class |= TOKEN;
            if byte != b'_' {
                class |= PLAIN_TOKEN;
            }
        }
        if byte != b'#' {
            class |= QUERY;
            if byte != b'?' {
                class |= PATH;
            }
        }
        if alphanumeric || contains(b"-._~!$&'()*+,;=", byte) {
            class |= REGISTERED_NAME;
        }
        classes[byte as usize] = class;
        byte += 1;
    }
    classes
}

const fn contains(set: &[u8], byte: u8) -> bool {
    let mut index = 0;
    while index < set.len() {
        if set[index] == byte {
            return true;
        }
        index += 1;
    }
    false
}

/// The classes of one byte.
#[inline]
pub(crate) fn class(byte: u8) -> u8 {
    CLASSES[byte as usize]
}

/// How many bytes at the start of `bytes` are of this class.
#[inline]
pub(crate) fn run(bytes: &[u8], wanted: u8) -> usize {
    bytes.iter().position(|&byte| class(byte) & wanted == 0).unwrap_or(bytes.len())
}

/// A token: not empty, and nothing but tchar.
#[inline]
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && run(bytes, TOKEN) == bytes.len()
}

/// RFC 9110 5.5: a field value holds no control but TAB. Bytes from 0x80 on are opaque and allowed.
#[inline]
pub(crate) fn is_field_value(bytes: &[u8]) -> bool {
    // Eight bytes at a time; the last eight overlap, so that no byte is looked at alone in a usual value.
    let Some(last) = bytes.last_chunk::<8>() else {
        return bytes.iter().all(|&byte| is_value_byte(byte));
    };
    let mut found = controls(*last);
    let mut rest = bytes;
    while let Some((chunk, behind)) = rest.split_first_chunk::<8>() {
        found |= controls(*chunk);
        rest = behind;
    }
    found == 0 || bytes.iter().all(|&byte| is_value_byte(byte))
}

#[inline]
fn is_value_byte(byte: u8) -> bool {
    (byte >= 0x20 && byte != 0x7f) || byte == b'\t'
}

/// Not zero when one of eight bytes is below 0x20 (TAB too) or is 0x7f.
#[inline]
fn controls(bytes: [u8; 8]) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(bytes);
    let delete = word ^ (EACH * 0x7f);
    ((word.wrapping_sub(EACH * 0x20) & !word) | (delete.wrapping_sub(EACH) & !delete)) & (EACH * 0x80)
}

/// Removes spaces and tabs at both ends.
#[inline]
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The members of a comma-separated list, white space around them removed.
pub(crate) fn list(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim)
}

/// A number of ASCII digits and nothing else: no sign, no space, no underscore, no overflow.
#[inline]
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, &digit| {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Is this a host with an optional port, as Host and the authority of a target have it (RFC 9110 7.2)?
///
/// Refused besides what the grammar refuses: an empty host, user information, a port above 65535,
/// an IPv6 zone and IPvFuture.
pub fn is_valid_host(host: &[u8]) -> bool {
    let name_end = match host {
        [b'[', literal @ ..] => {
            let Some(end) = literal.iter().position(|&byte| byte == b']') else {
                return false;
            };
            let Ok(address) = std::str::from_utf8(&literal[..end]) else {
                return false;
            };
            if address.parse::<Ipv6Addr>().is_err() {
                return false;
            }
            end + 2
        }
        _ => match registered_name(host) {
            Some(0) | None => return false,
            Some(end) => end,
        },
    };
    match &host[name_end..] {
        [] | [b':'] => true,
        [b':', port @ ..] => decimal(port).is_some_and(|port| port <= 65535),
        _ => false,
    }
}

/// Where the name at the start of `host` ends; None when a `%` is not followed by two hexadecimal digits.
#[inline]
fn registered_name(host: &[u8]) -> Option<usize> {
    let mut end = run(host, REGISTERED_NAME);
    while let Some(b'%') = host.get(end) {
        if !host.get(end + 1..end + 3)?.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        end += 3;
        end += run(&host[end..], REGISTERED_NAME);
    }
    Some(end)
}
