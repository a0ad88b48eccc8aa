//! HTTP/1.1 for servers, without I/O: bytes in, events out. No sockets, no clock, no allocation per request.
//!
//! [`Decoder`] turns the bytes of one connection into requests, [`HeadEncoder`] and [`BodyEncoder`] turn a
//! response into bytes. [`forwarded`] and [`proxy_protocol`] read what a proxy says of its client, [`uwsgi`] writes
//! what it says in that protocol as a request.
#![forbid(unsafe_code)]

mod characters;
mod decode;
mod encode;
mod error;
pub mod forwarded;
mod framing;
mod head;
mod limits;
pub mod proxy_protocol;
pub mod uwsgi;

pub use characters::is_valid_host;
pub use decode::{Decoder, Event};
pub use encode::{encode_early_hints, BodyEncoder, HeadEncoder, ResponseError, SuspendedHead, Turn};
pub use error::Refusal;
pub use framing::RequestFraming;
pub use head::{Field, RequestHead, Span, Version};
pub use limits::Limits;
