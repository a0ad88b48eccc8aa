//! A connection in an envelope: its descriptor, the bytes that were read from it and who is at the other end, as one
//! message between two processes of ours. Refuses what does not look like one.
use rustix::io::{retry_on_intr, Errno};
use rustix::net::{
    recvmsg, sendmsg, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A larger one is refused by Linux, unless somebody has raised net.core.wmem_default.
pub const LARGEST: usize = 256 * 1024;

/// Format, family, listener, port and address.
const ENVELOPE: usize = 22;
/// Changes with the layout: during an upgrade both sides may be of different versions.
const FORMAT: u8 = 1;

/// What goes with the descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letter<'a> {
    /// None for unix sockets.
    pub peer: Option<SocketAddr>,
    /// The place of the listening socket among the front's.
    pub listener: u16,
    /// Read from the connection, and not yet used.
    pub bytes: &'a [u8],
}

impl<'a> Letter<'a> {
    fn envelope(&self) -> [u8; ENVELOPE] {
        let mut envelope = [0; ENVELOPE];
        let (family, address) = match self.peer.map(|peer| peer.ip()) {
            None => (0, [0; 16]),
            Some(IpAddr::V4(address)) => (4, address.to_ipv6_mapped().octets()),
            Some(IpAddr::V6(address)) => (6, address.octets()),
        };
        envelope[..2].copy_from_slice(&[FORMAT, family]);
        envelope[2..4].copy_from_slice(&self.listener.to_ne_bytes());
        envelope[4..6].copy_from_slice(&self.peer.map_or(0, |peer| peer.port()).to_ne_bytes());
        envelope[6..].copy_from_slice(&address);
        envelope
    }

    /// None when it is none of ours.
    fn open(message: &'a [u8]) -> Option<Self> {
        let (envelope, bytes) = message.split_first_chunk::<ENVELOPE>()?;
        let [FORMAT, family, l0, l1, p0, p1, address @ ..] = *envelope else { return None };
        let address = Ipv6Addr::from(address);
        let address = match family {
            0 => None,
            4 => Some(IpAddr::V4(address.to_ipv4_mapped().unwrap_or(Ipv4Addr::UNSPECIFIED))),
            6 => Some(IpAddr::V6(address)),
            _ => return None,
        };
        let port = u16::from_ne_bytes([p0, p1]);
        let peer = address.map(|address| SocketAddr::new(address, port));
        Some(Self { peer, listener: u16::from_ne_bytes([l0, l1]), bytes })
    }
}

/// Sends a connection with its letter, whole or not at all. AGAIN when the other side has not read enough; when the
/// system lacks something for it, see [`is_scarcity`].
pub fn send(end: impl AsFd, connection: BorrowedFd<'_>, letter: &Letter<'_>) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [connection];
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    let envelope = letter.envelope();
    let parts = [IoSlice::new(&envelope), IoSlice::new(letter.bytes)];
    retry_on_intr(|| sendmsg(&end, &parts, &mut control, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)).map(drop)
}

/// Too many descriptors of this user are on their way, or memory is short. It passes, and no event says when: the other
/// side may have room all the time.
pub fn is_scarcity(error: Errno) -> bool {
    matches!(error, Errno::TOOMANYREFS | Errno::NOBUFS | Errno::NOMEM)
}

/// What was received.
pub enum Mail<'a> {
    Letter(OwnedFd, Letter<'a>),
    /// Something else, or one that was cut off: whatever came with it is closed.
    Junk,
    /// The other side has gone.
    End,
}

/// The next letter. AGAIN when there is none.
pub fn receive(end: impl AsFd, buffer: &mut [u8]) -> Result<Mail<'_>, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(buffer)];
    let received = recvmsg(end, &mut parts, &mut control, RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC)?;
    let mut connection = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            connection = descriptors.last();
        }
    }
    if received.bytes == 0 && connection.is_none() {
        return Ok(Mail::End);
    }
    let is_cut = received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    let letter = Letter::open(&buffer[..received.bytes.min(buffer.len())]).filter(|_| !is_cut);
    Ok(match (connection, letter) {
        (Some(connection), Some(letter)) => Mail::Letter(connection, letter),
        _ => Mail::Junk,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;
    use rustix::net::{socketpair, AddressFamily, SocketFlags, SocketType};
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
    }

    #[test]
    fn a_connection_arrives_with_its_letter() {
        let ((ours, theirs), (connection, mut client)) = (pair(), UnixStream::pair().unwrap());
        let letter =
            Letter { peer: Some("192.0.2.1:4711".parse().unwrap()), listener: 3, bytes: b"GET / HTTP/1.1\r\n" };
        send(&ours, connection.as_fd(), &letter).unwrap();
        drop(connection);
        let mut buffer = [0; 1024];
        let Mail::Letter(received, opened) = receive(&theirs, &mut buffer).unwrap() else { panic!("no letter") };
        assert_eq!(opened, letter);
        UnixStream::from(received).write_all(b"hello").unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }

    #[test]
    fn what_is_no_letter_is_told_from_one_and_from_the_end() {
        let (ours, theirs) = pair();
        let mut buffer = [0; 64];
        assert!(matches!(receive(&theirs, &mut buffer), Err(Errno::AGAIN)));
        rustix::io::write(&ours, b"hello").unwrap();
        assert!(matches!(receive(&theirs, &mut buffer), Ok(Mail::Junk)));
        let long = Letter { peer: None, listener: 0, bytes: &[b'x'; 100] };
        send(&ours, ours.as_fd(), &long).unwrap();
        assert!(matches!(receive(&theirs, &mut buffer), Ok(Mail::Junk)));
        drop(ours);
        assert!(matches!(receive(&theirs, &mut buffer), Ok(Mail::End)));
    }

    #[test]
    fn a_full_box_says_so_and_loses_nothing() {
        let (ours, theirs) = pair();
        let letter = Letter { peer: None, listener: 0, bytes: &[b'x'; 1000] };
        let sent = (0..10_000).take_while(|_| send(&ours, ours.as_fd(), &letter).is_ok()).count();
        assert!((10..10_000).contains(&sent));
        let mut buffer = vec![0; LARGEST];
        for _ in 0..sent {
            assert!(matches!(receive(&theirs, &mut buffer), Ok(Mail::Letter(..))));
        }
        send(&ours, ours.as_fd(), &letter).unwrap();
    }

    proptest! {
        #[test]
        fn every_address_survives(address: u128, is_v4: bool, port: u16, listener: u16) {
            let address =
                if is_v4 { IpAddr::V4(Ipv4Addr::from(address as u32)) } else { IpAddr::V6(Ipv6Addr::from(address)) };
            let letter = Letter { peer: Some(SocketAddr::new(address, port)), listener, bytes: b"x" };
            let message = [&letter.envelope()[..], b"x"].concat();
            prop_assert_eq!(Letter::open(&message), Some(letter));
        }

        #[test]
        fn any_bytes_are_a_letter_or_none(bytes: Vec<u8>) {
            let _ = Letter::open(&bytes);
        }
    }
}
