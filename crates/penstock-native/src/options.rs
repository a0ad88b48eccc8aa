//! What Python tells the engine, checked once. The keys are those of `EngineOptions` in `_native.pyi`.
use pyo3::prelude::*;
use std::collections::HashMap;
use std::os::fd::RawFd;

/// One listening socket, bound by the supervisor.
#[derive(FromPyObject, Clone, Debug)]
#[pyo3(from_item_all)]
pub struct ListenerOptions {
    pub fd: RawFd,
    pub kind: String,
    pub server_name: String,
    pub server_port: String,
    #[pyo3(default)]
    pub is_uwsgi: bool,
}

/// Files below a URL prefix.
#[derive(FromPyObject, Clone, Debug)]
#[pyo3(from_item_all)]
pub struct StaticMountOptions {
    pub prefix: String,
    pub roots: Vec<String>,
    pub max_age: u32,
    pub immutable: String,
    pub fall_through: bool,
}

/// Requests for these hosts below this path belong to a site.
#[derive(FromPyObject, Clone, Debug)]
#[pyo3(from_item_all)]
pub struct SiteRule {
    pub hosts: Vec<String>,
    pub path: String,
    pub site: usize,
}

/// Everything. Times are seconds, sizes bytes.
#[derive(FromPyObject, Clone, Debug)]
#[pyo3(from_item_all)]
pub struct EngineOptions {
    pub listeners: Vec<ListenerOptions>,
    pub threads: usize,
    pub multiprocess: bool,
    pub max_connections: usize,
    pub max_request_line: usize,
    pub max_head: usize,
    pub max_fields: usize,
    pub max_body: u64,
    pub body_memory: u64,
    pub response_memory: usize,
    pub stream_body: bool,
    pub temp_dir: String,
    pub head_timeout: f64,
    pub body_timeout: f64,
    pub min_body_rate: u64,
    pub keep_alive_timeout: f64,
    pub write_timeout: f64,
    pub queue_size: usize,
    pub queue_timeout: f64,
    pub forwarded_allow: Vec<String>,
    pub proxy_protocol: bool,
    #[pyo3(item("static"))]
    pub static_mounts: Vec<StaticMountOptions>,
    pub protected: HashMap<String, String>,
    pub access_log: String,
    pub access_log_format: String,
    pub error_log_fd: RawFd,
    pub scoreboard_fd: RawFd,
    pub scoreboard_slot: usize,
    #[pyo3(default)]
    pub uwsgi_allow: Vec<String>,
    #[pyo3(default)]
    pub guarded: Vec<String>,
    #[pyo3(default)]
    pub timeout: f64,
    #[pyo3(default)]
    pub timeout_grace: f64,
    #[pyo3(default)]
    pub slow_request_log: f64,
    #[pyo3(default)]
    pub dump_signal: i32,
    #[pyo3(default)]
    pub health_path: String,
    #[pyo3(default)]
    pub request_id: bool,
    #[pyo3(default)]
    pub script_name: String,
    #[pyo3(default)]
    pub routes: Vec<SiteRule>,
    #[pyo3(default)]
    pub own_site: usize,
    #[pyo3(default)]
    pub front_fd: Option<RawFd>,
}
